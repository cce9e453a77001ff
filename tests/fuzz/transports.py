"""A transport that goes nowhere."""

import asyncio
from typing import Any


class DeafTransport(asyncio.Transport):
    """Takes what is written, and tells its protocol that it is lost only when that is asked for."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        self._closing = False

    def write(self, data: Any) -> None:
        assert data

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True

    close = abort

    def pause_reading(self) -> None:
        assert not self._closing

    def resume_reading(self) -> None:
        assert not self._closing

"""What SIGHUP means: a terminal that was closed, where there was one; else somebody asks for the configuration to be read."""

import os
import signal

TERMINAL = "/dev/tty"


class Terminal:
    """The terminal that this process was started from, if any. Make it before a handler for SIGHUP is set.

    A process that was started to outlive its terminal (``nohup``) has none for this purpose.
    """

    def __init__(self) -> None:
        self._had = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _is_there()

    @property
    def gone(self) -> bool:
        """Whether it was closed since."""
        return self._had and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

"""What holds for all tests: the developer's own settings do not reach them."""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def no_settings_of_the_developers() -> None:
    """A test sees the defaults, whatever this shell is logged in to."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "KEEPTRUSTS_")) and name != "KEEPTRUSTS_MISSION_SCRIPTS":
            del os.environ[name]

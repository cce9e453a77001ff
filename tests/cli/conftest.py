"""`kt` in the test's own process, talking to a fake API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from keeptrusts.cli.main import main
from tests.cli.fake_api import TOKEN, FakeApi, running


class Ran(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


Kt = Callable[..., Ran]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with running(FakeApi()) as it:
        yield it


@pytest.fixture
def kt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kt:
    """Runs a command line in a home directory of its own, without an API in its environment."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*words: str) -> Ran:
        capsys.readouterr()
        code = main(words)
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture
def at(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The fake API, named in the environment as the documents do."""
    monkeypatch.setenv("KEEPTRUSTS_API_URL", api.url)
    monkeypatch.setenv("KEEPTRUSTS_API_TOKEN", TOKEN)
    return api

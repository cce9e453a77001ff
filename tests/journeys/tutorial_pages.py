"""Runs a tutorial page as a reader would: its shell blocks in order, exactly as written, their output compared.

A block marked ``sh`` is typed in one shell; one marked ``sh terminal`` keeps running in a terminal of its own, and is over
when the page is. A ``text`` block shows what the block before it prints; ``…`` there stands for anything.
"""

import re
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.networks import Network
from tests.journeys.processes import READY_S, Program, until

_FENCE = re.compile(r"^```(?P<mark>sh terminal|sh|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page; ``line`` is where it stands there."""

    mark: str
    body: str
    line: int


def read_page(page: Path) -> list[Block]:
    """The blocks that are run or compared, in the page's order."""
    text = page.read_text(encoding="utf-8")
    return [Block(f["mark"], f["body"], text[: f.start()].count("\n") + 1) for f in _FENCE.finditer(text)]


def run_page(page: Path, directory: Path, env: Mapping[str, str], network: Network) -> list[str]:
    """What each ``sh`` block printed. An AssertionError names the block that failed or printed something else."""
    printed: list[str] = []
    with ExitStack() as running:
        shell = _Shell(directory, env, network)
        running.callback(shell.close)
        for block in read_page(page):
            where = f"{page.name}:{block.line}"
            match block.mark:
                case "sh":
                    printed.append(shell.run(block.body, where))
                case "sh terminal":
                    command = [*network.enter, "bash", "-euc", block.body]
                    program = running.enter_context(Program(command, directory / "terminal.log", env, directory))
                    running.callback(program.interrupt)
                    urls = [f"http://127.0.0.1:{port}" for port in (network.api_port, network.gateway_port)]
                    program.wait_for(lambda urls=urls: all(map(network.ready, urls)), f"{where} ready", READY_S)  # type: ignore[misc]
                    printed.append("")
                case "text":
                    _compare(printed[-1], block.body, where)
    return printed


class _Shell:
    """One bash that lives through a page, so that its variables and its folder do too."""

    def __init__(self, directory: Path, env: Mapping[str, str], network: Network) -> None:
        self._block, self._out, self._done = directory / ".block", directory / ".printed", directory / ".done"
        self._bash = subprocess.Popen(
            [*network.enter, "bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(env),
            cwd=directory,
            text=True,
        )

    def run(self, text: str, where: str) -> str:
        self._block.write_text(f"set -euo pipefail\n{text}", encoding="utf-8")
        self._done.unlink(missing_ok=True)
        assert self._bash.stdin is not None
        source = f"source {self._block} >{self._out} 2>&1 </dev/null"
        self._bash.stdin.write(f"trap 'echo $? >{self._done}' EXIT\n{source}\necho 0 >{self._done}\n")
        self._bash.stdin.flush()
        code = until(lambda: self._done.exists() and self._done.read_text().strip(), f"{where} done", _BLOCK_S)
        printed = self._out.read_text(encoding="utf-8")
        assert code == "0", f"{where} failed with {code}:\n{text}\n{printed}"
        return printed

    def close(self) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait(_BLOCK_S)


def _compare(printed: str, shown: str, where: str) -> None:
    parts = [re.escape(part) for part in shown.strip().split("…")]
    assert re.fullmatch(r"[^\n]*".join(parts), printed.strip()), (
        f"{where} shows\n{shown}\nbut this was printed:\n{printed}"
    )

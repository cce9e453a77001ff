"""Writes the generated pages of docs/reference from the code; ``--check`` only says whether they are up to date."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from writers import api, cli, errors, events, policy_file

REFERENCE = Path(__file__).resolve().parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "api.md": api.page,
    "cli.md": cli.page,
    "errors.md": errors.page,
    "events.md": events.page,
    "policy-file.md": policy_file.page,
}


def main(asked: list[str]) -> int:
    """Returns the exit code: 0 when the pages are as they should be, 1 when ``--check`` finds one that is not, 2 misused."""
    if asked not in ([], ["--check"]):
        print("usage: docs/generate.py [--check]", file=sys.stderr)
        return 2
    stale = [name for name, page in PAGES.items() if not _is_current(REFERENCE / name, page())]
    for name in stale:
        if asked:
            print(f"docs/reference/{name} is not what the code says: run `make docs`", file=sys.stderr)
        else:
            REFERENCE.mkdir(exist_ok=True)
            (REFERENCE / name).write_text(PAGES[name](), encoding="utf-8")
            print(f"docs/reference/{name} written")
    return 1 if stale and asked else 0


def _is_current(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

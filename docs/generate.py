"""Writes what is generated from the code: pages of docs/reference, the dashboard. ``--check`` says which are stale, and which
links are dead."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from writers import api, cli, dashboard, errors, events, links, policy_file

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"

PAGES: Mapping[Path, Callable[[], str]] = {
    REFERENCE / "api.md": api.page,
    REFERENCE / "cli.md": cli.page,
    REFERENCE / "errors.md": errors.page,
    REFERENCE / "events.md": events.page,
    REFERENCE / "policy-file.md": policy_file.page,
    REFERENCE / "policy-file.schema.json": policy_file.schema_text,
    ROOT / "examples" / "grafana" / "keeptrusts.json": dashboard.page,
}


def main(asked: list[str]) -> int:
    """Returns the exit code: 0 when all is as it should be, 1 when ``--check`` finds something that is not, 2 misused."""
    if asked == ["--check"]:
        return _check()
    if asked:
        print("usage: docs/generate.py [--check]", file=sys.stderr)
        return 2
    for file, page in PAGES.items():
        file.write_text(page(), encoding="utf-8")
    return 0


def _check() -> int:
    stale = [file.relative_to(ROOT) for file, page in PAGES.items() if not _is_current(file, page())]
    found = [f"{name} is not what the code says: run `make docs`" for name in stale]
    found += links.dead_ends(ROOT)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


def _is_current(file: Path, text: str) -> bool:
    return file.exists() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Finds what the pages point to and is not there: files, headings, and source files that a page names."""

import re
from collections.abc import Iterator
from pathlib import Path

from writers.markdown import anchor

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|sql|yaml|toml))`")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
RECORDS = "decisions"
"""Decisions are not rewritten, so that the files which they name may have moved since."""


def dead_ends(root: Path) -> Iterator[str]:
    """A line for each link or named file that leads nowhere, in all pages below ``root``'s top level and its docs."""
    for page in sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")]):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        name = page.relative_to(root)
        for target in LINK.findall(text):
            if "://" not in target and not _leads_somewhere(page, target):
                yield f"{name}: nothing is at {target}"
        for file in NAMED.findall(text) if page.parent.name != RECORDS else ():
            if not any((base / file).exists() for base in (root, root / "src" / "keeptrusts")):
                yield f"{name}: there is no file {file}"


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, heading = target.partition("#")
    file = page.parent / path if path else page
    if not heading or not file.is_file():
        return file.exists()
    text = FENCE.sub("", file.read_text(encoding="utf-8"))
    return f"#{heading}" in {anchor(found) for found in HEADING.findall(text)}

"""What the how-to pages show of policy files is sound: whoever copies it gets no error."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from keeptrusts.core.rulebook.from_yaml import compile_layers
from keeptrusts.core.rulebook.layers import Layer

PAGES = Path(__file__).parents[3] / "docs" / "how-to"
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BELOW = """\
version: '1'
providers:
  targets:
    - {id: openai, provider: openai}
policies:
  - {name: no-secrets, type: secrets, action: block}
api: {url: 'http://localhost:8080'}
"""
"""What the reader of a page has already."""

INSIDE = {"targets:": ("providers:\n", "  "), "pricing:": ("providers:\n  targets:\n    - id: openai\n", "      ")}
"""By their first word: where pieces of a section belong."""


def shown() -> Iterator[tuple[str, str]]:
    for page in sorted(PAGES.glob("*.md")):
        for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            if not block.startswith(("cases:", "#")):
                yield f"{page.stem} {number}", block


SHOWN = dict(shown())


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_page_shows_is_sound(name: str) -> None:
    text = SHOWN[name]
    head, depth = INSIDE.get(text.split()[0], ("", ""))
    compiled = compile_layers([Layer("below", BELOW), Layer("page", head + indent(text, depth))])
    assert [problem for problem in compiled.problems if problem.severity == "error"] == []


def test_there_are_enough_of_them() -> None:
    assert len(SHOWN) > 20

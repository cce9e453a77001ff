"""Policy files for the tests: a smallest one, and ways to add to it."""

from textwrap import dedent

from keeptrusts.core.rulebook.from_yaml import Compiled, compile_rulebook

SMALLEST = """\
version: '1'
providers:
  targets:
    - id: openai
      provider: openai
"""


def compiled(more: str = "", base: str = SMALLEST) -> Compiled:
    """The smallest valid file with ``more`` after it."""
    return compile_rulebook(base + dedent(more))


def places(result: Compiled) -> list[tuple[str, str, int | None, int | None]]:
    """Code, path, line and column of every problem."""
    return [(p.code, p.path, p.line, p.column) for p in result.problems]

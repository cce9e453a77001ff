"""No text, however mangled, makes the compiler raise; and what it says always has a place inside the text."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeptrusts.core.rulebook.from_yaml import compile_rulebook
from tests.architecture.sources import ROOT

WHOLE = (ROOT / "examples" / "every-setting.yaml").read_text(encoding="utf-8")
LINES = WHOLE.splitlines(keepends=True)

WORDS = st.sampled_from(
    ["~", "[]", "{}", "'", '"', "- ", "? ", ": ", "&a ", "*a", "<<: ", "!x ", "\t", "5", "-1", "1e9", "yes", "\x00"]
)


def check(text):
    result = compile_rulebook(text)
    errors = [p for p in result.problems if p.severity == "error"]
    assert (result.rulebook is None) == bool(errors)
    lines = sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2
    for problem in result.problems:
        assert problem.line is None or 1 <= problem.line <= lines
        assert problem.message


@given(st.text(max_size=200))
@example("? ")
@example("%YAML 9.9\n---\na: b")
@example("%TAG ! tag:x\n---\n!a b")
@example("--- >\n")
@example("...\n")
@example("a: 1e999\nb: 0x")
def test_any_text(text):
    check(text)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_good_file_with_something_put_in_or_taken_out(data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "double", "indent", "value", "splice"]))
        line = lines[at]
        if change == "drop":
            del lines[at]
        elif change == "double":
            lines.insert(at, line)
        elif change == "indent":
            lines[at] = "  " + line
        elif change == "value":
            lines[at] = line.split(":")[0] + ": " + data.draw(WORDS) + "\n"
        else:
            cut = data.draw(st.integers(0, len(line)))
            lines[at] = line[:cut] + data.draw(WORDS) + line[cut:]
    check("".join(lines))

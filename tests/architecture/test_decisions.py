"""A decision that nobody finds is made twice: the index knows every record."""

import re

from tests.architecture.sources import ROOT

DECISIONS = ROOT / "docs" / "decisions"


def test_the_index_lists_every_decision_and_no_other():
    records = {path.name for path in DECISIONS.glob("*.md")} - {"README.md"}
    listed = set(re.findall(r"\]\(([^)/]+\.md)\)", (DECISIONS / "README.md").read_text(encoding="utf-8")))
    assert listed == records


def test_every_decision_has_its_number_and_its_four_parts():
    for path in DECISIONS.glob("[0-9]*.md"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}. "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Question", "Decision", "Instead of", "Costs"], (
            path.name
        )
        assert re.search(r"^Status: (accepted|replaced by \d{4}), \d{4}-\d{2}-\d{2}$", text, re.MULTILINE), path.name

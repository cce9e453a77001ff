"""The tutorials of docs/tutorials work: every shell block is run as written, and prints what the page shows."""

from pathlib import Path

import pytest

from tests.journeys.networks import private_network
from tests.journeys.processes import ROOT
from tests.journeys.product import clean_env
from tests.journeys.tutorial_pages import read_page, run_page

PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


@pytest.mark.xdist_group("port-41002")
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_a_tutorial_works_as_written(page: Path, tmp_path: Path) -> None:
    with private_network() as network:
        if not network.usual_ports:
            pytest.skip("ports 8080 and 41002 are taken, and this machine lets nobody make a private network")
        run_page(page, tmp_path, clean_env(tmp_path), network)


def test_the_pages_show_what_their_commands_print() -> None:
    """A page that only claims to be run would prove nothing."""
    assert {page.stem for page in PAGES} >= {"quickstart", "budgets", "chargeback"}
    for page in PAGES:
        marks = [block.mark for block in read_page(page)]
        assert marks.count("sh") >= 3, page
        assert marks.count("text") >= 2, page

"""What every journey may ask for: a running product, and a team name that no other test uses."""

from collections.abc import Iterator

import pytest

from tests.journeys.product import Product, running_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One product for all journeys of this worker that neither stop it nor need rules of their own."""
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture
def team(request: pytest.FixtureRequest) -> str:
    """A team id of this test's own, so that its books hold its calls alone."""
    return "team_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())

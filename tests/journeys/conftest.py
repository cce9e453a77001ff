"""What every journey may ask for: a running product, and a team name that no other test uses."""

from collections.abc import Iterator

import pytest

from tests.journeys.product import Product, running_product
from tests.journeys.world import Till, World


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One product for all journeys of this worker that neither stop it nor need rules of their own."""
    with running_product(tmp_path_factory.mktemp("product")) as running:
        yield running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product with a provider of every kind, for all journeys of this worker through its doors."""
    world = World(tmp_path_factory.mktemp("world"))
    try:
        world.start()
        yield world
        world.accounts_for_itself()
    finally:
        world.close()


@pytest.fixture
def till(world: World, team: str) -> Till:
    """This test's own team in that product, with money and a key."""
    return Till(world, team)


@pytest.fixture
def team(request: pytest.FixtureRequest) -> str:
    """A team id of this test's own, so that its books hold its calls alone."""
    return "team_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())

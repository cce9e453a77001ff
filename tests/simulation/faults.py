"""What goes wrong in a simulated world, and what operators change meanwhile: one function for each, by the profile's names."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keeptrusts.control import wallet_moves, wallet_states
from keeptrusts.control.context import Control
from tests.simulation.setting import ADMIN, DEPARTMENT, MODELS, TEAMS

if TYPE_CHECKING:
    from tests.simulation.world import World


async def _kill_node(world: "World") -> None:
    slot = world.dice.choice(world.slots)
    if slot.process is not None and slot.process.alive:
        slot.process.fuse = world.dice.choice((1, 5, 30, 100))


async def _kill_api(world: "World") -> None:
    if world.network.api is not None:
        world.network.api.fuse = world.dice.choice((1, 5, 30, 100))


async def _lose_power(world: "World") -> None:
    host = world.dice.choice(world.hosts)
    for slot in world.slots:
        if slot.host is host and slot.process is not None:
            world.kill(slot.process)
    cut = world.machine.lose_power(host)
    world.cut |= cut
    world.note(f"{host.name} loses its power; journals cut: {sorted(cut)}")


async def _stop_node(world: "World") -> None:
    slot = world.dice.choice(world.slots)
    await world.stop_node(slot)
    world._restart(slot)


async def _freeze_node(world: "World") -> None:
    slot = world.dice.choice(world.slots)
    if slot.process is not None and slot.process.alive:
        for_s = world.dice.choice((0.5, 3.0, 30.0))
        world.note(f"{slot.process.name} is stopped for {for_s} s")
        world.loop.stop_process(slot.process, for_s)


async def _part(world: "World") -> None:
    host = world.dice.choice(world.hosts).name
    parted = world.network.weather.parted
    world.note(f"{host} is {'joined again' if host in parted else 'cut off'}")
    parted ^= {host}
    if host in parted:
        world.loop.outside.later(world.dice.choice((1.0, 20.0)), parted.discard, host)


async def _storm(world: "World") -> None:
    weather = world.network.weather
    weather.lost, weather.broken, weather.slow = (world.dice.choice((0.0, 0.1, 0.4)) for _ in range(3))
    weather.repeated = world.dice.choice((0.0, 0.3))


async def _turn_clock(world: "World") -> None:
    host = world.dice.choice([*world.hosts, world.store_host])
    by_s = world.dice.choice((1.0, -1.0, 3_600.0, -3_600.0, 86_400.0, 40 * 86_400.0, -86_400.0))
    world.note(f"the clock of {host.name} jumps by {by_s} s")
    host.offset_ns += int(by_s * 1e9)


async def _allocate(world: "World") -> None:
    team = world.dice.choice(TEAMS)
    kind = world.dice.choice(sorted(world.profile.budgets[team]))
    low = world.profile.budgets[team][kind]
    factors = (0.0, 0.3, 0.8, 1.0, 1.5) if world.profile.lowers else (1.0, 1.2, 2.0)
    nanos = int(low * world.dice.choice(factors))
    if not world.profile.lowers:
        nanos = max(nanos, world.books.standing(team, kind))
    await world.allocate(team, kind, nanos)


async def _move_money(world: "World") -> None:
    team, other = world.dice.sample(TEAMS, 2)
    kind: Any = world.dice.choice(sorted(world.profile.budgets[team]))
    nanos = world.dice.randint(1, 20) * 60_000
    name, to = f"team:{team}", f"team:{other}"
    what = world.dice.choice(("credit", "transfer", "reclaim") if world.profile.lowers else ("credit",))
    moves: dict[str, Callable[[Control], Any]] = {
        "credit": lambda c: wallet_moves.credit(c, ADMIN, name, nanos, kind, None),
        "transfer": lambda c: wallet_moves.transfer(c, ADMIN, name, to, nanos, kind, None),
        "reclaim": lambda c: wallet_moves.reclaim(c, ADMIN, name, nanos, kind, None),
    }
    await world.operate(f"{what} {nanos} {kind} of {team}", moves[what])


async def _freeze(world: "World") -> None:
    team = world.dice.choice(TEAMS)
    await world.operate(f"{team} is frozen", lambda c: wallet_states.set_state(c, ADMIN, f"team:{team}", "frozen"))
    await asyncio.sleep(world.dice.choice((0.1, 3.0)))
    await world.unfreeze(team)


async def _grow_tree(world: "World") -> None:
    """A parent is attached to teams that have spent and are spending."""
    if world.profile.tree != "late" or world.books.standing_kinds(DEPARTMENT):
        return
    await world.make_department()
    for team, budgets in world.profile.budgets.items():
        for kind in budgets:
            nanos = world.books.standing(team, kind)
            await world.allocate(team, kind, nanos, parent=f"department:{DEPARTMENT}")


async def _price(world: "World") -> None:
    await world.price(world.dice.choice(list(MODELS)), world.dice.choice((0.5, 1.0, 2.0)))


async def _pause(world: "World") -> None:
    await asyncio.sleep(world.dice.choice((2.0, 10.0, 70.0)))


FAULT_ACTIONS: dict[str, Callable[["World"], Any]] = {
    "kill_node": _kill_node,
    "kill_api": _kill_api,
    "lose_power": _lose_power,
    "stop_node": _stop_node,
    "freeze_node": _freeze_node,
    "part": _part,
    "storm": _storm,
    "turn_clock": _turn_clock,
    "allocate": _allocate,
    "move_money": _move_money,
    "freeze": _freeze,
    "grow_tree": _grow_tree,
    "price": _price,
    "pause": _pause,
}

"""A world of gateways, one control plane, providers and clients, in which a seed decides what happens.

The gateways are ``gateway/node.py`` and everything below it, the control plane is ``control/`` on a real ledger database; what is
simulated are machines, network, providers, clients, operators, and time.
"""

import asyncio
import json
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from keeptrusts.control import prices, wallet_states, wallets
from keeptrusts.control.context import Control, Tools
from keeptrusts.control.denial import Denial
from keeptrusts.control.opening import open_control
from keeptrusts.core.pricing.price import Price, Rates
from keeptrusts.gateway.client import Client
from keeptrusts.gateway.doors import CHAT
from keeptrusts.gateway.life_of_a_call import serve
from keeptrusts.gateway.node import Node, StartRefused
from keeptrusts.store.contracts import StoreAway
from tests.simulation.books import Books, Violation, check_purses
from tests.simulation.checks import check_end
from tests.simulation.clients import Slot, Told
from tests.simulation.faults import FAULT_ACTIONS
from tests.simulation.loop import HERE, Process, VirtualLoop
from tests.simulation.machine import Host, Machine
from tests.simulation.network import Network, WireLink
from tests.simulation.profile import Profile
from tests.simulation.provider import Providers, Served
from tests.simulation.setting import (
    ADMIN,
    DEPARTMENT,
    FIRST_PRICES,
    LONGEST_ANSWER,
    MODELS,
    PROJECT,
    RATES,
    TEAMS,
    key_of_team,
    rules_of,
)

NOTES = 400


class StoreClock:
    """The control plane's clocks: its machine's wall clock, and the one that nobody sets."""

    def __init__(self, machine: Machine, loop: VirtualLoop) -> None:
        self.unix_ns: Callable[[], int] = machine.unix_ns
        self.monotonic_s: Callable[[], float] = loop.time


class World:
    """Everything, from the first allocation to the last check. ``note`` writes the story that a failing seed tells."""

    def __init__(
        self, seed: int, profile: Profile, directory: Path, trace: Callable[[str], None] | None = None
    ) -> None:
        self.seed = seed
        self.profile = profile
        self.trace = trace
        self.notes: deque[str] = deque(maxlen=NOTES)
        self.dice = random.Random(f"world {seed}")
        self.loop = VirtualLoop(seed)
        self.machine = Machine(self.loop, seed)
        self.machine.segment_bytes = profile.segment_bytes
        self.network = Network(self.loop, seed)
        self.providers = Providers(self.loop, seed, profile.manners)
        self.directory = directory
        self.store_host = Host("store", directory / "store")
        self.hosts = [Host(f"host{n}", directory / f"host{n}") for n in range(profile.hosts)]
        self.slots = [Slot(host, n) for host in self.hosts for n in range(profile.workers)]
        self.rules = rules_of(profile)
        self.calls: list[Told] = []
        self.books = Books(self.store_host.data_dir / "ledger.db")
        self.cheapest = dict(RATES)
        self.cut: set[str] = set()
        self.crashes = 0
        self.calm = False
        self._prices = 0
        self.used: dict[str, int] = {}
        for host, skew in zip([*self.hosts, self.store_host], profile.skew_s, strict=False):
            host.offset_ns = int(skew * 1e9)
        self.loop.after_step = self._after_step
        self.loop.sync_s = lambda: 0.05 if self.dice.random() < 0.02 else 0.001
        self.network.after_commit = self._after_commit
        self.providers.on_bill = self._billed
        self.providers.on_sent = self._ambush
        self.network.on_send = self._ambush_question

    # The story

    def note(self, text: str) -> None:
        """One line of what happened."""
        line = f"{self.loop.steps:8d} {self.loop.time():10.3f} {text}"
        self.notes.append(line)
        if self.trace is not None:
            self.trace(line)

    def _after_step(self, process: Process) -> None:
        if process.fuse == 0:
            self.kill(process)
        if self.loop.broken:
            error = self.loop.broken[0].get("exception")
            raise (
                error if isinstance(error, Violation) else Violation(f"a callback broke: {self.loop.broken[0]}")
            ) from error
        slot = getattr(process, "slot", None)
        if slot is not None and slot.node is not None and process.alive:
            check_purses(slot.node.treasury, self.profile.manners.overbills)

    def _after_commit(self, route: str) -> None:
        if route in ("grant", "ship"):
            try:
                self.books.check(self.profile.manners.overbills)
            except Violation as found:
                # In whatever task it was seen: the world ends here.
                self.loop.broken.append({"exception": found})

    def _billed(self, served: Served) -> None:
        """By the providers' own count, what a team has used never passes what its budgets were."""
        call = self.calls[int(served.request_id.removeprefix("call-"))]
        rates = self.cheapest[served.model]
        nanos = (served.input_tokens * rates.input + served.output_tokens * rates.output) // 1_000
        self.note(
            f"{served.request_id} of {call.team} is billed {served.input_tokens}+{served.output_tokens} ({served.manner})"
        )
        if self.profile.manners.overbills:
            return
        bound = [] if self.profile.fallback else [call.team]
        bound += [DEPARTMENT] if self.profile.tree == "department" else []
        for name in bound:
            self.used[name] = self.used.get(name, 0) + nanos
            room = self.books.room(name)
            if room is not None and self.used[name] > room:
                raise Violation(f"{name} used {self.used[name]} of at most {room} by the providers' count")

    # Processes

    def kill(self, process: Process) -> None:
        """``kill -9``."""
        process.fuse = -1
        if not process.alive:
            return
        self.note(f"{process.name} is killed")
        self.crashes += 1
        self.machine.kill(process)
        slot = getattr(process, "slot", None)
        if slot is not None:
            slot.node = None
            self._restart(slot)
        elif process is self.network.api:
            self.network.control = None
            self.network.reset()
            if not self.calm:
                self.loop.outside.later(self.dice.random() * 3, self.start_api)

    def _ambush(self) -> bool:
        """Kills the process that runs, right after what it is doing."""
        process = HERE.get()
        if self.calm or self.dice.random() >= self.profile.ambush or not hasattr(process, "slot"):
            return False
        self.note(f"{process.name} is ambushed")
        process.fuse = 1
        return True

    def _ambush_question(self, route: str) -> float:
        """A question whose asker dies may arrive when the heirs have closed everything already."""
        return 5.0 if route == "grant" and self._ambush() else 0.0

    def _restart(self, slot: Slot) -> None:
        if slot.wanted and not self.calm:
            self.loop.outside.later(self.dice.random() * 2, self.start_node, slot)

    def start_api(self) -> None:
        """The control plane starts on its database."""
        if self.network.api is not None and self.network.api.alive:
            return
        process = self.network.api = Process(self.loop, f"api{self.loop.steps}", self.store_host)
        process.spawn(self._run_api(process))

    async def _run_api(self, process: Process) -> None:
        clock = StoreClock(self.machine, self.loop)
        async with open_control(self.store_host.data_dir, "the-admin-token", clock) as control:
            control.tools = Tools(clock, self.machine.dice.randbytes)
            self.network.control = control
            self.note(f"{process.name} serves")
            await self.loop.create_future()

    def start_node(self, slot: Slot) -> None:
        """A gateway process starts in its place."""
        if not slot.wanted or (slot.process is not None and slot.process.alive):
            return
        process = slot.process = Process(self.loop, f"{slot.name}@{self.loop.steps}", slot.host)
        slot.draining = False
        process.slot = slot  # type: ignore[attr-defined]
        process.spawn(self._run_node(slot, process))

    async def _run_node(self, slot: Slot, process: Process) -> None:
        try:
            node = Node(self.rules, {"TOKEN": "unused"}, slot.host.data_dir, lambda: WireLink(self.network))
            slot.node = node
            await node.start()
            self.note(f"{process.name} is node {node.node_id}")
        except StartRefused as refused:
            self.note(f"{process.name} does not start: {refused}")
            process.fuse = 1

    async def stop_node(self, slot: Slot) -> None:
        """SIGTERM: the process drains and ends."""
        process, node = slot.process, slot.node
        if process is None or node is None or not process.alive:
            return
        slot.draining = True
        hurried = not self.calm and self.dice.random() < 0.3
        self.note(f"{process.name} is asked to stop{' at once' if hurried else ''}")
        mine = [call for call in self.calls if call.process is process]
        for _ in range(0 if hurried else 600):
            if all(call.settled for call in mine):
                break
            await asyncio.sleep(0.05)
        for call in mine:
            if call.task is not None and not call.settled:
                call.task.cancel()
        for _ in range(40):
            if all(call.settled for call in mine):
                break
            await asyncio.sleep(0.05)
        if not process.alive:
            return
        task = process.spawn(node.stop(all(call.settled for call in mine)))
        for _ in range(400):
            if task.done() or not process.alive:
                break
            await asyncio.sleep(0.05)
        if process.alive:
            if not task.done():
                self.note(f"{process.name} does not stop: killed")
            elif task.exception() is not None:
                raise Violation(f"a node does not stop: {task.exception()!r}")
            self.machine.kill(process)
            slot.node = None
            self.note(f"{process.name} has ended")

    # Clients and operators

    def call(self, team: str | None = None, model: str | None = None, fresh: bool = False) -> Told | None:
        """A client calls some gateway that runs; ``fresh``: nobody asked that before."""
        dice = self.dice
        running = [
            slot for slot in self.slots if slot.node and not slot.draining and slot.process and slot.process.alive
        ]
        if not running:
            return None
        slot = dice.choice(running)
        stream = dice.random() < 0.3
        told = Told(
            len(self.calls), team or dice.choice(TEAMS), model or dice.choice(("gpt-4o-mini", "smart")), stream, slot
        )
        told.leaves = dice.random() < 0.03
        told.on_end = self._ambush
        content = f"Q{len(self.calls)}" if fresh else f"Q{dice.randint(1, 12)}"
        fields: dict[str, Any] = {"model": told.model, "messages": [{"role": "user", "content": content}]}
        if dice.random() < 0.8:
            fields["max_tokens"] = dice.randint(5, LONGEST_ANSWER)
        if stream:
            fields["stream"] = True
        told.body = json.dumps(fields).encode()
        self.calls.append(told)
        assert slot.process is not None
        told.task = slot.process.spawn(self._call(told, slot.node))
        return told

    async def _call(self, told: Told, node: Any) -> None:
        names = {"x-consumer-group": key_of_team(told.team), "content-length": str(len(told.body))}
        names["x-request-id"] = told.request_id
        scope = {
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/chat/completions",
        }
        try:
            with suppress(OSError, asyncio.CancelledError):
                await serve(node, Client.of_asgi(scope, told.receive, told.send), CHAT)
        finally:
            told.over = True
        if not told.leaves and told.status == 0 and not told.slot.draining:
            self.loop.broken.append({"exception": Violation(f"{told.request_id} got no answer")})

    async def operate(self, what: str, work: Callable[[Control], Any]) -> None:
        """An operator does something, if the control plane answers."""
        api, control = self.network.api, self.network.control
        if api is None or not api.alive or control is None:
            return
        self.note(what)
        task = api.spawn(work(control))
        for _ in range(200):
            if task.done() or not api.alive:
                break
            await asyncio.sleep(0.05)
        if task.done() and task.exception() is not None:
            error = task.exception()
            if not isinstance(error, Denial | StoreAway):
                raise Violation(f"{what}: {error!r}")
            self.note(f"{what}: {error}")

    async def allocate(self, name: str, kind: Any, nanos: int, scope: Any = "team", **more: Any) -> None:
        """Sets a budget."""
        asked = wallets.Allocation(scope, name, nanos, kind, **more)
        await self.operate(f"{name} gets {nanos} {kind} {more}", lambda c: wallets.allocate(c, ADMIN, asked))

    async def make_department(self) -> None:
        """The teams' parent, with less than their sum where it may overcommit."""
        for kind in ("monthly", "once"):
            funds = sum(budgets.get(kind, 0) for budgets in self.profile.budgets.values())
            if funds:
                nanos = funds * 7 // 10 if self.profile.overcommit else funds * 2
                options = {"overcommit": self.profile.overcommit}
                await self.allocate(DEPARTMENT, kind, nanos, "department", options=options)

    async def unfreeze(self, team: str) -> None:
        """The team may spend again."""
        await self.operate(f"{team} thaws", lambda c: wallet_states.set_state(c, ADMIN, f"team:{team}", "active"))

    async def price(self, model: str, factor: float) -> None:
        """A model gets dearer or cheaper."""
        old = RATES[model]
        rates = Rates(int(old.input * factor), int(old.output * factor))
        low = self.cheapest[model]
        self.cheapest[model] = Rates(min(low.input, rates.input), min(low.output, rates.output))
        price = Price("", MODELS[model], model, rates, max_output_tokens=LONGEST_ANSWER)
        self._prices += 1
        since = FIRST_PRICES + timedelta(seconds=self._prices)  # long ago: whatever clocks say, it is in force
        await self.operate(f"{model} costs {factor} times as much", lambda c: prices.post(c, ADMIN, price, since))

    # The run

    async def live(self) -> None:
        """From an empty store to the last check."""
        await self._begin()
        await self._traffic()
        await self._settle_down()
        if self.profile.usable:
            await self._use_it_up()
        await self._end()

    async def _begin(self) -> None:
        self.start_api()
        await self._until(lambda: self.network.control is not None, "the control plane does not start")
        for model in MODELS:
            await self.price(model, 1.0)
        if self.profile.tree == "department":
            await self.make_department()
        for team, budgets in self.profile.budgets.items():
            options = {"carry_over": self.profile.carry_over}
            options |= {"fallback": "parent"} if self.profile.fallback else {}
            parent = f"department:{DEPARTMENT}" if self.books.standing_kinds(DEPARTMENT) else None
            for kind, nanos in budgets.items():
                await self.allocate(team, kind, nanos, parent=parent, options=options)
        if self.profile.project:
            await self.allocate(PROJECT, "monthly", 20 * 60_000, "project", parent="none")
        for slot in self.slots:
            self.start_node(slot)
        await self._until(
            lambda: all(slot.node and slot.node.ready for slot in self.slots), "the gateways do not start"
        )
        self.network.weather = self.profile.weather

    async def _until(self, happened: Callable[[], Any], else_what: str, bound_s: float = 120.0) -> None:
        until = self.loop.time() + bound_s
        while not happened():
            if self.loop.time() > until:
                raise Violation(else_what)
            await asyncio.sleep(0.05)

    async def _traffic(self) -> None:
        dice, profile = self.dice, self.profile
        while len(self.calls) < profile.calls:
            await asyncio.sleep(dice.expovariate(profile.rate))
            if dice.random() < profile.trouble:
                names = list(profile.faults)
                name = dice.choices(names, list(profile.faults.values()))[0]
                await FAULT_ACTIONS[name](self)
            elif dice.random() < 0.1:
                team = dice.choice(TEAMS)
                for _ in range(dice.randint(2, 12)):
                    self.call(team)
            elif self.call() is None:
                await asyncio.sleep(0.2)

    async def _settle_down(self) -> None:
        """The faults end; what runs comes to its end; what lies there is adopted."""
        self.note("--- the faults end")
        self.calm = True
        weather = self.network.weather = type(self.network.weather)()
        weather.parted.clear()
        for slot in self.slots:
            if slot.process is not None:
                slot.process.fuse = -1
        if self.network.api is not None:
            self.network.api.fuse = -1
        self.start_api()
        await self._until(lambda: self.network.control is not None, "the control plane does not come back")
        await self._until(lambda: all(call.settled for call in self.calls), "a call goes on for ever")
        await self._until(self._nobody_stopped, "a stopped process does not go on")
        for team in TEAMS:
            await self.unfreeze(team)
        for slot in self.slots:
            await self.stop_node(slot)
        for slot in self.slots:
            slot.wanted = True
            if slot.process is not None and slot.process.alive:
                self.machine.kill(slot.process)
                slot.node = None
            self.start_node(slot)
            # One after the other, as a rolling restart: each adopts what it finds.
            await self._until(lambda slot=slot: slot.node and slot.node.ready, "a gateway does not start")  # type: ignore[misc]

    def _nobody_stopped(self) -> bool:
        return all(slot.process is None or not slot.process.stopped_until for slot in self.slots)

    async def _use_it_up(self) -> None:
        """A budget of 200 holds, more demand than that, honest providers: 99 % of it is used, and no more."""
        team, kind = "team_a", min(self.profile.budgets["team_a"])
        if (
            self.cut
            or self.profile.caps
            or len(self.profile.budgets[team]) > 1
            or self.books.standing_kinds(DEPARTMENT)
        ):
            return
        self.providers.manners = msgspec.structs.replace(self.providers.manners, weights={"ok": 1})
        spent, _ = self.books.spent(team, kind)
        budget = spent + 100 * 60_000
        await self.allocate(team, kind, budget)
        misses = 0
        while misses < 3:
            made = [call for _ in range(8) if (call := self.call(team, "gpt-4o-mini", True)) is not None]
            await self._until(lambda made=made: all(call.settled for call in made), "a call goes on for ever")  # type: ignore[misc]
            misses = misses + 1 if all(call.status == 402 for call in made) else 0
        await asyncio.sleep(1.0)
        spent, suspense = self.books.spent(team, kind)
        if (spent + suspense) * 100 < budget * 99:
            raise Violation(f"of {budget} only {spent} (and {suspense} in suspense) could be used")
        self.note(f"{spent * 100 / budget:.2f} % used")

    async def _end(self) -> None:
        for slot in self.slots:
            slot.wanted = False
            await self.stop_node(slot)
        self.note("--- everything has ended")
        check_end(self)

    def run(self) -> None:
        """Plays the seed. Raises Violation."""
        story = _Story(self)
        logs = [logging.getLogger(name) for name in ("keeptrusts::gateway", "keeptrusts::api")]
        before = [(log.propagate, log.level) for log in logs]
        for log in logs:
            log.propagate = False
            log.setLevel(logging.INFO)
            log.addHandler(story)
        with self.machine.running():
            try:
                self.loop.run_until_complete(self.live())
            finally:
                self.books.close()
                for slot in self.slots:
                    if slot.process is not None:
                        self.machine.kill(slot.process)
                if self.network.api is not None:
                    self.machine.kill(self.network.api)
                for process in (self.network.process, self.providers.process):
                    self.loop.kill(process)
                self.loop.bury()
                self.machine.close()
                for log, (log.propagate, level) in zip(logs, before, strict=True):
                    log.setLevel(level)
                    log.removeHandler(story)


class _Story(logging.Handler):
    """What the product logs belongs to the story."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if self._world.loop.is_running():
            self._world.note(f"  log: {record.getMessage()}")

"""Events as they are asked of the API: all of a time, the last few, or whatever is recorded from now on.

The API lists the newest recording first. A call is recorded when it ends, so its ``timestamp`` may be older than its place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from keeptrusts.cli.api_client import Api, Unreachable

Event = Mapping[str, Any]
POLL_INTERVAL_S = 1.0
FOLLOW_PAGE = 200
BEHIND_MAX = 10_000
"""How many events one look back may bring; a follower that is slower than that leaves the oldest out and says so."""


class EventFeed:
    """The events that pass one set of filters (the API's query parameters; None leaves one out)."""

    def __init__(self, api: Api, filters: Mapping[str, object]) -> None:
        self._api = api
        self._filters = filters

    def pages(self) -> Iterator[Sequence[Event]]:
        """Every event, page by page, the newest first."""
        yield from self._api.pages("events", "events", self._filters)

    def last(self, count: int) -> list[Event]:
        """The last ``count`` events, the oldest of them first."""
        newest = list(islice(self._each(min(count, FOLLOW_PAGE)), count))
        return newest[::-1]

    def follow(
        self, after: Event | None, wait: Callable[[], None], say: Callable[[str], None]
    ) -> Iterator[list[Event]]:
        """Batches of what was recorded after the event ``after`` (None: after nothing), oldest first, without an end.

        ``wait`` is called between two looks; ``say`` with a sentence when events had to be left out, and when the API is
        out of reach: nothing is lost by that, the next look goes back to the last event that was seen.
        """
        seen, reached = after["id"] if after else None, True
        while True:
            try:
                fresh, reached = self._since(seen), True
            except Unreachable as away:
                if reached:
                    say(f"{away.message}. Still trying")
                fresh, reached = [], False
            if len(fresh) > BEHIND_MAX:
                say(
                    f"more events than can be shown: the oldest before {fresh[BEHIND_MAX - 1]['timestamp']} are left out"
                )
            if fresh:
                seen = fresh[0]["id"]
                yield fresh[:BEHIND_MAX][::-1]
            wait()

    def newest(self) -> Event | None:
        """The event recorded last, None when there is none."""
        return next(self._each(1), None)

    def _since(self, seen: object) -> list[Event]:
        fresh: list[Event] = []
        for event in islice(self._each(FOLLOW_PAGE), BEHIND_MAX + 1):
            if event["id"] == seen:
                break
            fresh.append(event)
        return fresh

    def _each(self, page_limit: int) -> Iterator[Event]:
        for page in self._api.pages("events", "events", {**self._filters, "limit": page_limit}):
            yield from page

"""`kt events`: calls as they were recorded, the last few, a time's worth, or as they come."""

import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal
from urllib.parse import quote

import typer

from keeptrusts.cli.api_client import api_of_this_shell
from keeptrusts.cli.broken_pipe import reader_may_leave
from keeptrusts.cli.event_feed import POLL_INTERVAL_S, Event, EventFeed
from keeptrusts.cli.event_fields import asked_fields
from keeptrusts.cli.event_output import Format, Writer, writer
from keeptrusts.cli.explanation import explanation_lines
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Calls as they were recorded, blocked ones too.")

TAIL_MAX = 10_000

Last = Annotated[int | None, typer.Option(min=1, max=100_000, help="Only the last N, oldest first.")]
Since = Annotated[str | None, typer.Option(help="From when: 1h, 30d, 2026-04-01 or RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Until when, not included; written as --since.")]
Team = Annotated[str | None, typer.Option(help="One team, by its name or its id.")]
RequestId = Annotated[str | None, typer.Option(help="The one call whose answer had this x-request-id.")]
Form = Annotated[Format, typer.Option("--format")]
Fields = Annotated[str | None, typer.Option(help="For json and csv: field names with commas, as team,model,cost.")]


@app.command("list")
def list_events(
    since: Since = None,
    until: Until = None,
    last: Last = None,
    team: Team = None,
    request_id: RequestId = None,
    form: Form = "table",
    fields: Fields = None,
) -> None:
    """All events of a time, the newest first; with --last only so many, oldest first."""
    names = _names(fields, form)
    feed = EventFeed(api_of_this_shell(), {**_filters(since, until, team), "request_id": request_id})
    with reader_may_leave():
        out = writer(form, sys.stdout, names)
        for page in feed.pages() if last is None else [feed.last(last)]:
            out.write(page)
        out.close()


@app.command()
def tail(
    last: Last = None,
    since: Since = None,
    team: Team = None,
    form: Form = "table",
    fields: Fields = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes after --last or --since.")
    ] = False,
) -> None:
    """Events as they come, a line each, until Ctrl-C; with --last or --since those that were, oldest first."""
    names = _names(fields, form)
    feed = EventFeed(api_of_this_shell(), _filters(since, None, team))
    endless = follow or (last is None and since is None)
    with reader_may_leave():
        out = writer(form, sys.stdout, names, endless)
        past = _past(feed, last, since)
        out.write(past)
        if endless:
            _follow(feed, past[-1] if past else feed.newest(), out)
        out.close()


@app.command()
def explain(
    call: Annotated[str, typer.Argument(help="The call's event id (evt_...), or its x-request-id.")],
    form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
) -> None:
    """Say why one call went as it did and cost what it cost: each target and why, each hold, price and sum."""
    found = api_of_this_shell().get(f"events/{quote(call, safe='')}")
    print(json_text(found, 2) if form == "json" else "\n".join(explanation_lines(found)))


def _past(feed: EventFeed, last: int | None, since: str | None) -> list[Event]:
    if last is not None:
        return feed.last(last)
    if since is None:
        return []
    found = feed.last(TAIL_MAX)
    if len(found) == TAIL_MAX:
        _note(f"only the last {TAIL_MAX} events: `kt events list --since {since}` has all")
    return found


def _follow(feed: EventFeed, newest: Event | None, out: Writer) -> None:
    try:
        for batch in feed.follow(newest, partial(time.sleep, POLL_INTERVAL_S), _note):
            out.write(batch)
    except KeyboardInterrupt:
        return


def _names(fields: str | None, form: Format) -> tuple[str, ...] | None:
    if fields is None:
        return None
    if form == "table":
        raise Failure("--fields goes with --format json or csv: the table's columns are fixed")
    return asked_fields(fields)


def _filters(since: str | None, until: str | None, team: str | None) -> Mapping[str, object]:
    return {"since": since, "until": until, "team": team}


def _note(sentence: str) -> None:
    print(f"kt: {sentence}", file=sys.stderr)

"""`kt tokens`: issues gateway keys, lists them without their secrets, revokes them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell, member
from keeptrusts.cli.columns import columns
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Gateway keys: what applications call with.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]

SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"([0-9]{1,6})([mhdw])")


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for, as search-service-prod.")],
    team_id: Annotated[str | None, typer.Option(help="The team that pays; its calls are refused without one.")] = None,
    rate_limit: Annotated[int | None, typer.Option(min=1, help="Requests per minute.")] = None,
    allowed_models: Annotated[str | None, typer.Option(help="Model names with commas, or * for all.")] = None,
    key_class: Annotated[
        Literal["production", "development", "sandbox"] | None,
        typer.Option("--class", help="Presets for limit and models."),
    ] = None,
    description: Annotated[str | None, typer.Option()] = None,
    expires_in: Annotated[str | None, typer.Option(help="As 30m, 12h, 7d or 4w; never, if left out.")] = None,
    application: Annotated[str | None, typer.Option(help="Every call of the key is booked to it.")] = None,
    feature: Annotated[str | None, typer.Option(help="Every call of the key is booked to it.")] = None,
    environment: Annotated[str | None, typer.Option(help="Every call of the key is booked to it.")] = None,
    form: Form = "table",
) -> None:
    """Issue a gateway key. The secret is shown now and never again."""
    expires_at = None if expires_in is None else datetime.now(UTC) + duration(expires_in)
    attribution = _given(application=application, feature=feature, environment=environment)
    body = {"token_type": "gateway", "name": name} | _given(
        description=description,
        team_id=team_id,
        rate_limit=rate_limit,
        allowed_models=None if allowed_models is None else [it.strip() for it in allowed_models.split(",")],
        attribution=attribution or None,
        expires_at=None if expires_at is None else expires_at.isoformat(timespec="seconds"),
    )
    answer = api_of_this_shell().post("tokens", body | _given(**{"class": key_class}))
    if form == "json":
        print(json_text(answer, 2))
        return
    secret = member(answer, "token", str, "tokens")
    print(f"Key: {secret}")
    print(f"Id: {printable(answer['id'])}")
    print(f"Name: {printable(answer['name'])}")
    print(f"Expires: {answer.get('expires_at') or 'never'}")
    print("Keep the key now: it is stored as a hash and cannot be shown again.")


@app.command("list")
def list_tokens(form: Form = "table") -> None:
    """All gateway keys, without their secrets."""
    keys = [key for page in api_of_this_shell().pages("tokens", "data", {"type": "gateway"}) for key in page]
    if form == "json":
        print(json_text(keys, 2))
    else:
        print(
            columns(
                ("Id", "Name", "Status", "Team", "Rate limit", "Models", "Hint", "Last used"), [_row(it) for it in keys]
            )
        )


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="The key's id, as `kt tokens list` shows it.", metavar="ID")],
    form: Form = "table",
) -> None:
    """Revoke a key for good: every gateway refuses it within a second."""
    if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", token_id):
        raise Failure(f"a key's id looks like tok_..., not {printable(token_id)!r}: see `kt tokens list`")
    api_of_this_shell().delete(f"tokens/{token_id}")
    print(json_text({"id": token_id, "status": "revoked"}, 2) if form == "json" else f"{token_id} is revoked")


def duration(text: str) -> timedelta:
    """``30m, 12h, 7d, 4w`` as a length of time. Raises Failure for anything else."""
    found = DURATION.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise Failure(f"--expires-in is a number and m, h, d or w, as 7d, not {text!r}")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _row(key: Mapping[str, Any]) -> tuple[str, ...]:
    limit, models = key.get("rate_limit"), key.get("allowed_models")
    told = (
        key.get("id"),
        key.get("name"),
        key.get("status"),
        key.get("team_id"),
        f"{limit}/min" if limit else None,
        "all" if models is None or "*" in models else ",".join(map(str, models)),
        key.get("hint"),
        key.get("last_used_at"),
    )
    return tuple("-" if value in (None, "") else printable(str(value)) for value in told)

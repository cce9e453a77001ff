"""`kt tokens`: issues gateway keys, shows them without their secrets, gives them new ones, suspends and revokes them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer

from keeptrusts.cli.api_client import api_of_this_shell, member
from keeptrusts.cli.failure import Failure
from keeptrusts.cli.json_text import json_text
from keeptrusts.cli.printable import printable
from keeptrusts.cli.token_text import key_text, list_text

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Gateway keys: what applications call with.")

Form = Annotated[Literal["table", "json"], typer.Option("--format")]

SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"([0-9]{1,6})([mhdw])")

Dimension = Annotated[str | None, typer.Option(help="Every call of the key is booked to it.")]
TokenId = Annotated[str, typer.Argument(help="The key's id, as `kt tokens list` shows it.", metavar="ID")]


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
    consumer_group: Annotated[
        str | None, typer.Option(help="A group of the policy file, whose limits and lists hold too.")
    ] = None,
    application: Dimension = None,
    feature: Dimension = None,
    environment: Dimension = None,
    project: Dimension = None,
    customer: Dimension = None,
    department: Dimension = None,
    user: Dimension = None,
    cost_center: Dimension = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="What clients may name themselves, as feature=ranking,answers or user=*; repeatable."),
    ] = None,
    allow_ip: Annotated[
        list[str] | None, typer.Option(help="A network that calls may come from, as 10.0.0.0/8; repeatable.")
    ] = None,
    on_exhausted: Annotated[
        Literal["refuse", "suspend"] | None,
        typer.Option(help="When its budget is used up: refuse each call, or suspend the key until there is money."),
    ] = None,
    form: Form = "table",
) -> None:
    """Issue a gateway key. The secret is shown now and never again."""
    expires_at = None if expires_in is None else datetime.now(UTC) + duration(expires_in)
    attribution = _given(
        application=application,
        feature=feature,
        environment=environment,
        project=project,
        customer=customer,
        department=department,
        user=user,
        cost_center=cost_center,
    )
    body = {"token_type": "gateway", "name": name} | _given(
        description=description,
        team_id=team_id,
        rate_limit=rate_limit,
        allowed_models=None if allowed_models is None else [it.strip() for it in allowed_models.split(",")],
        consumer_group=consumer_group,
        attribution=attribution or None,
        allowed_dimensions=allowed(allow or ()) or None,
        allowed_ips=allow_ip or None,
        on_exhausted=on_exhausted,
        expires_at=None if expires_at is None else expires_at.isoformat(timespec="seconds"),
    )
    answer = api_of_this_shell().post("tokens", body | _given(**{"class": key_class}))
    _show_secret(answer, form)


@app.command("list")
def list_tokens(form: Form = "table") -> None:
    """All gateway keys, without their secrets."""
    keys = [key for page in api_of_this_shell().pages("tokens", "data", {"type": "gateway"}) for key in page]
    if form == "json":
        print(json_text(keys, 2))
    else:
        print(list_text(keys))


@app.command()
def show(token_id: TokenId, form: Form = "table") -> None:
    """One key and everything that it may do."""
    key = api_of_this_shell().get(_path(token_id))
    print(json_text(key, 2) if form == "json" else key_text(key))


@app.command()
def rotate(
    token_id: TokenId,
    overlap: Annotated[
        str | None, typer.Option(help="How long the old secret works too, as 30m, 12h or 7d; not at all, if left out.")
    ] = None,
    form: Form = "table",
) -> None:
    """Give a key a new secret. Its id, limits, budget and history stay."""
    body = {} if overlap is None else {"overlap_seconds": int(duration(overlap, "--overlap").total_seconds())}
    _show_secret(api_of_this_shell().post(f"{_path(token_id)}/rotate", body), form)


@app.command()
def suspend(token_id: TokenId, form: Form = "table") -> None:
    """Suspend a key: every gateway refuses it within a second, until it is resumed."""
    _set_status(token_id, "suspended", form)


@app.command()
def resume(token_id: TokenId, form: Form = "table") -> None:
    """Let a suspended key call again."""
    _set_status(token_id, "active", form)


@app.command()
def revoke(token_id: TokenId, form: Form = "table") -> None:
    """Revoke a key for good: every gateway refuses it within a second."""
    api_of_this_shell().delete(_path(token_id))
    print(json_text({"id": token_id, "status": "revoked"}, 2) if form == "json" else f"{token_id} is revoked")


def _set_status(token_id: str, status: str, form: str) -> None:
    key = api_of_this_shell().patch(_path(token_id), {"status": status})
    print(json_text(key, 2) if form == "json" else f"{token_id} is {printable(str(key['status']))}")


def _path(token_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]{1,100}", token_id):
        raise Failure(f"a key's id looks like tok_..., not {printable(token_id)!r}: see `kt tokens list`")
    return f"tokens/{token_id}"


def _show_secret(answer: Any, form: str) -> None:
    secret = member(answer, "token", str, "tokens")
    if form == "json":
        print(json_text(answer, 2))
        return
    print(f"Key: {secret}")
    print(f"Id: {printable(answer['id'])}")
    print(f"Name: {printable(answer['name'])}")
    print(f"Expires: {answer.get('expires_at') or 'never'}")
    if answer.get("old_secret_until"):
        print(f"Old secret until: {printable(str(answer['old_secret_until']))}")
    print("Keep the key now: it is stored as a hash and cannot be shown again.")


def allowed(options: Sequence[str]) -> dict[str, list[str]]:
    """``feature=ranking,answers`` and the like as the API takes them. Raises Failure for anything else."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, _, values = option.partition("=")
        listed = [value.strip() for value in values.split(",")]
        dimension = name.strip().replace("-", "_")
        if not dimension or not all(listed) or dimension in found:
            raise Failure(
                f"--allow is a dimension and its values, as feature=ranking,answers or user=*, not {option!r}"
            )
        found[dimension] = listed
    return found


def duration(text: str, option: str = "--expires-in") -> timedelta:
    """``30m, 12h, 7d, 4w`` as a length of time. Raises Failure, which names the option, for anything else."""
    found = DURATION.fullmatch(text)
    if not found or int(found[1]) == 0:
        raise Failure(f"{option} is a number and m, h, d or w, as 7d, not {text!r}")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}

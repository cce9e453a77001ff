"""What a policy file names of the environment and the environment does not have, and what follows from that."""

from collections.abc import Iterator, Mapping

from keeptrusts.core.policies.registry import KINDS
from keeptrusts.core.problem import Problem
from keeptrusts.core.rulebook.places import NO_PLACES, Path, Places, path_text
from keeptrusts.core.rulebook.quoting import quoted
from keeptrusts.core.rulebook.rulebook import Rulebook

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TOKEN_ENV = "KEEPTRUSTS_API_TOKEN"

Named = tuple[Path, str | None, str]
"""Where a variable is named, the variable if there is one, and what follows when it is not set."""


def missing_secrets(rulebook: Rulebook, environment: Mapping[str, str], places: Places = NO_PLACES) -> list[Problem]:
    """A warning for each variable that the rules name and that is not set, or empty.

    ``places`` (of the same compilation) adds line and column.
    """
    found = []
    for path, env, follows in (*_of_targets(rulebook), *_of_policies(rulebook), *_of_the_gateway(rulebook)):
        if env and not environment.get(env):
            line, column = places.of_value(path) or (None, None)
            message = f"{env} is not set: {follows}"
            problem = Problem("missing_secret", message, path_text(path), line, column, f"export {env}=...", "warning")
            found.append(places.sheets.told(problem))
    return found


def _of_targets(rulebook: Rulebook) -> Iterator[Named]:
    for i, target in enumerate(rulebook.targets):
        at: Path = ("providers", "targets", i)
        follows = f"target {quoted(target.id)} will not be called"
        yield (*at, "secret_key_ref", "env"), target.secret_env, follows
        if target.provider == "bedrock" and target.secret_env is None:
            yield from ((at, env, follows) for env in AWS)


def _of_policies(rulebook: Rulebook) -> Iterator[Named]:
    for i, policy in enumerate(rulebook.policies):
        if KINDS[policy.type].judges == "service":
            follows = f"the service of policy {quoted(policy.name)} will not be asked, and counts as failed"
            yield ("policies", i, "config", "secret_env"), policy.config.get("secret_env"), follows


def _of_the_gateway(rulebook: Rulebook) -> Iterator[Named]:
    """Without one of these a gateway does not start."""
    api, admin, store, otlp = rulebook.api, rulebook.admin, rulebook.limits.store, rulebook.telemetry.otlp
    if api is not None:
        yield ("api", "token_env"), api.token_env, "the gateway cannot register with the API"
    if rulebook.cache.enabled:
        yield (
            ("cache", "url_env"),
            rulebook.cache.url_env,
            "the gateway does not start without the address of its cache",
        )
    if store is not None:
        follows = "the gateway does not start without {} of the store of limits"
        yield ("limits", "store_env"), store.url_env, follows.format("the address")
        yield ("limits", "secret_key_ref", "env"), store.secret_env, follows.format("the password")
    if otlp is not None:
        follows = "the gateway does not start without the headers for the collector"
        yield ("telemetry", "otlp", "headers_env"), otlp.headers_env, follows
    if admin.listen is not None and not admin.listen.startswith("/"):
        env = admin.token_env or (TOKEN_ENV if api is None else None)
        yield ("gateway", "admin", "listen"), env, "the gateway does not open its admin listener without a token"

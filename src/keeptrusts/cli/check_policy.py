"""What `kt doctor` looks at around the policy file: its errors, its secrets, the providers and stores that it names."""

import http.client
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from keeptrusts.cli.check import Check, fail, ok, warn
from keeptrusts.cli.policy_report import problem_line
from keeptrusts.core.problem import Problem
from keeptrusts.core.providers.vendors import VENDORS
from keeptrusts.core.routing.target import Target
from keeptrusts.core.rulebook.from_yaml import compile_layers
from keeptrusts.core.rulebook.missing_secrets import missing_secrets
from keeptrusts.core.rulebook.plain_rules import without_credentials
from keeptrusts.core.rulebook.rulebook import Rulebook
from keeptrusts.gateway.policy_files import PolicyFiles, PolicyUnreadable
from keeptrusts.gateway.sign_in import base_url_of, has_secret, sign_in_of
from keeptrusts.store.data_dir import ADMIN_TOKEN

PROBE_S = 5.0
AT_ONCE = 8
MODELS_PATH: Mapping[str, str] = {
    "openai": "/models",
    "openai-compatible": "/models",
    "anthropic": "/v1/models",
    "gemini": "/models",
    **dict.fromkeys(VENDORS, "/models"),
}
"""Where a provider lists its models: an answer shows that the key is good, and costs nothing."""


def read_rules(
    files: Sequence[Path], environ: Mapping[str, str], data_dir: Path
) -> tuple[Rulebook | None, list[Check]]:
    """The rules, if the files are sound, and what was found of files and secrets."""
    name = ", ".join(map(str, files))
    try:
        compiled = compile_layers(PolicyFiles(files).read())
    except PolicyUnreadable as trouble:
        return None, [fail("policy file", str(trouble), "`kt init` writes one; name yours with --policy-config")]
    errors = [problem for problem in compiled.problems if problem.severity == "error"]
    if compiled.rulebook is None:
        first = problem_line(name, errors[0]) if errors else name
        return None, [fail("policy file", first, f"`kt policy lint --file {files[0]}` tells all {len(errors)} errors")]
    found = [ok("policy file", f"{name} is valid")]
    found += [
        warn("policy file", problem_line(name, problem), "allowed, and probably not meant")
        for problem in compiled.problems
    ]
    found += [
        _secret(problem, data_dir) for problem in missing_secrets(compiled.rulebook, environ, compiled.places)
    ] or [ok("secrets", "every variable that the file names is set")]
    return compiled.rulebook, found


def _secret(problem: Problem, data_dir: Path) -> Check:
    if problem.path == "api.token_env" and (data_dir / ADMIN_TOKEN).exists():
        return ok("secrets", f"the API's token is in {data_dir / ADMIN_TOKEN}, from where `kt up` takes it")
    return fail("secrets", problem.message, problem.suggestion or "set it")


def check_providers(rulebook: Rulebook, environ: Mapping[str, str]) -> Iterator[Check]:
    """Each target that is called over the network, several at once."""
    called = [target for target in rulebook.targets if target.provider != "simulated"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(lambda target: _provider(target, environ), called)
    for target in rulebook.targets:
        if target.provider == "simulated":
            yield ok(f"target {target.id}", "simulated: nobody is called")


def check_stores(rulebook: Rulebook, environ: Mapping[str, str]) -> Iterator[Check]:
    """The Redis or Valkey that gateways share, where the file names one."""
    cache, limits = rulebook.cache, rulebook.limits.store
    wanted = {}
    if cache.enabled and (cache.url or cache.url_env):
        wanted["cache store"] = cache.url or environ.get(cache.url_env or "", "")
    if limits is not None:
        wanted["limits store"] = limits.url or environ.get(limits.url_env or "", "")
    for name, url in wanted.items():
        secret = environ.get(limits.secret_env or "") if limits is not None and name == "limits store" else None
        yield _store(name, url, secret)


def _provider(target: Target, environ: Mapping[str, str]) -> Check:
    name = f"target {target.id}"
    url = base_url_of(target, environ)
    parts = urlsplit(url)
    lists = MODELS_PATH.get(target.provider) if has_secret(target, environ) else None
    lines = dict(line.split(": ", 1) for line in sign_in_of(target, environ).fixed) if lists else {}
    tls = parts.scheme == "https"
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PROBE_S)
    began = time.monotonic()
    try:
        connection.connect()
        took_ms = (time.monotonic() - began) * 1_000
        if lists is None:
            return ok(name, f"{url} accepts connections ({took_ms:.0f} ms); its key was not tried")
        connection.request("GET", parts.path.rstrip("/") + lists, headers=lines)
        status = connection.getresponse().status
    except ssl.SSLError as trouble:
        return fail(name, f"{url}: TLS fails: {trouble.reason}", "check the certificate, and proxies on the way")
    except (OSError, http.client.HTTPException) as trouble:
        why = getattr(trouble, "strerror", None) or type(trouble).__name__
        return fail(name, f"{url} cannot be reached: {why}", "check base_url, DNS and the firewall")
    finally:
        connection.close()
    if status in (401, 403):
        where = target.secret_env or "its environment variables"
        return fail(name, f"{url} refuses the key ({status})", f"put a good one into {where}")
    if status >= 500:
        return warn(name, f"{url} answers {status}", "look at the provider's status page")
    return ok(name, f"{url} answers ({took_ms:.0f} ms)" + (" and takes the key" if status == 200 else ""))


def _store(name: str, url: str, secret: str | None) -> Check:
    import redis

    if not url:
        return fail(name, "its variable is not set", "export the store's address")
    shown = without_credentials(url)
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=PROBE_S, socket_connect_timeout=PROBE_S, **({"password": secret} if secret else {})
        )
        with client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as trouble:
        return fail(
            name, f"{shown} does not answer: {type(trouble).__name__}", "start it, or check address and password"
        )
    return ok(name, f"{shown} answers")

"""What `kt up` runs: which policy file, which processes with which environment, and what it tells when all are ready."""

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from shutil import which
from urllib.parse import urlsplit

from keeptrusts.cli.api_client import Api
from keeptrusts.cli.connection import Connection
from keeptrusts.cli.demo import prepare_demo
from keeptrusts.cli.failure import SAID_NO, Failure
from keeptrusts.cli.home_dir import POLICY_FILE, AdminToken, admin_token, write_private
from keeptrusts.cli.listening import LOOPBACK, Address, bound, must_be_free
from keeptrusts.cli.log_options import supervisors_voice
from keeptrusts.cli.quickstart import BUDGET_USD, MODEL, TEAM_ID, Glance, glance, policy_text, with_api_url
from keeptrusts.cli.wallet_view import list_wallets
from keeptrusts.cli.workers import LAST_GOOD, PYTHON, Source, gateway_command, worker_children
from keeptrusts.core.identity.gateway_key import GROUP_PREFIX, SECRET_BYTES, issue_key
from keeptrusts.settings import DEFAULT_API_URL, default_data_dir
from keeptrusts.store.data_dir import ADMIN_TOKEN
from keeptrusts.supervisor.child import Child
from keeptrusts.supervisor.shared_port import SharedPort, share
from keeptrusts.supervisor.supervise import Supervisor, stop_on_signals

Say = Callable[[str], None]

API_ALONE = frozenset({"KEEPTRUSTS_DATABASE_URL", "KEEPTRUSTS_KEY_PEPPER"})
"""Settings that the API alone gets."""


@dataclass(frozen=True, slots=True)
class Stack:
    """One `kt up`, decided. ``own_policy``: the policy file is the one that `kt up` wrote into its directory."""

    home: Path
    api_port: int
    gateway_port: int
    policy_file: Path
    own_policy: bool
    policy: Glance
    token: AdminToken = field(repr=False)
    demo: bool
    workers: int = 1

    @property
    def api_url(self) -> str:
        return f"http://localhost:{self.api_port}"

    @property
    def gateway_at(self) -> Address:
        return Address(LOOPBACK, self.gateway_port)

    @property
    def gateway_url(self) -> str:
        return f"http://localhost:{self.gateway_port}"


def prepare_stack(
    home: Path,
    api_port: int,
    gateway_port: int,
    policy_config: Path | None,
    demo: bool,
    environ: Mapping[str, str],
    say: Say,
    workers: int = 1,
) -> Stack:
    """Checks everything that can be wrong before anything is started, and makes what a first start lacks.

    Raises Failure with one clear line.
    """
    if api_port == gateway_port:
        raise Failure(f"API and gateway cannot share port {api_port}: give one of them another")
    for port in (api_port, gateway_port):
        must_be_free(Address(LOOPBACK, port))
    api_url = f"http://localhost:{api_port}"
    policy_file = policy_config or home / POLICY_FILE
    if policy_config is None:
        text = _own_policy(policy_file, api_url, demo, environ, say)
    else:
        text = _read(policy_config)
        _warn_of_another_api(glance(text), policy_config, api_port, say)
    policy = glance(text)
    if demo and not policy.simulated:
        raise Failure(f"--demo sends made-up calls, and {policy_file} names a provider that costs money: leave one out")
    token = admin_token(home, environ)
    return Stack(home, api_port, gateway_port, policy_file, policy_config is None, policy, token, demo, workers)


async def run_stack(stack: Stack, environ: Mapping[str, str], say: Say) -> int:
    """Runs it until a signal; returns the exit code."""
    supervisor = Supervisor(supervisors_voice(environ, say))
    stop_on_signals(supervisor)
    own = {**environ, "KEEPTRUSTS_API_TOKEN": stack.token.value}

    async def when_ready() -> Sequence[Child]:
        keys_file = await asyncio.to_thread(_furnish, stack)
        for line in greeting(stack):
            say(line)
        if keys_file is None:
            return []
        argv = (*PYTHON, "keeptrusts.cli.demo_traffic", str(stack.gateway_port), str(keys_file))
        return [Child("demo", argv, environ, kept=False)]

    if stack.workers == 1:
        return await supervisor.run(children(stack, own), when_ready)
    with bound(stack.gateway_at) as listener:
        return await supervisor.run(children(stack, own, share(listener, stack.workers)), when_ready)


def children(stack: Stack, environ: Mapping[str, str], port: SharedPort | None = None) -> list[Child]:
    """The processes; the API first, because the gateway's last words go to it when all stops. ``port``: what several
    gateway workers serve together."""
    argv = (*PYTHON, "keeptrusts.cli.main", "api", "run", "--port", str(stack.api_port), "--data-dir", str(stack.home))
    api = Child("API", argv, environ, stack.api_port)
    others = {name: value for name, value in environ.items() if name not in API_ALONE}
    if port is not None:
        return [api, *worker_children(Source((stack.policy_file,)), stack.gateway_at, stack.home, port, others)]
    command = gateway_command(Source((stack.policy_file,)), stack.gateway_at, stack.home)
    gateway = Child("gateway", command, others, stack.gateway_port, when_restarted=LAST_GOOD, takes_reload=True)
    return [api, gateway]


def greeting(stack: Stack) -> list[str]:
    """What a person needs to begin, once all is ready."""
    token = (
        f"{stack.token.value}  (made now, kept in {stack.token.source})" if stack.token.fresh else stack.token.source
    )
    lines = [
        "",
        "Keeptrusts is ready. Ctrl-C stops it.",
        f"  API          {stack.api_url}  (reference: {stack.api_url}/docs)",
        f"  Gateway      {stack.gateway_url}/v1" + (f"  ({stack.workers} workers)" if stack.workers > 1 else ""),
        f"  Policy file  {stack.policy_file}",
        f"  Admin token  {token}",
    ]
    if stack.policy.simulated:
        lines.append("  Provider     simulated: answers are made up here, no key is needed and nothing is paid")
    elif stack.own_policy:
        lines.append("  Provider     openai, with your OPENAI_API_KEY: calls are real and paid for")
    if stack.policy.key:
        lines += ["", "Try it:", f"  {curl_line(stack.gateway_url, stack.policy.key)}"]
    return [*lines, *_shell_lines(stack), "  kt spend --all", "  kt events tail", ""]


def curl_line(gateway_url: str, key: str) -> str:
    """A call that can be pasted into a shell."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}]})
    headers = f"-H 'X-Consumer-Group: {key}' -H 'Content-Type: application/json'"
    return f"curl -s {gateway_url}/v1/chat/completions {headers} -d '{body}'"


def _shell_lines(stack: Stack) -> list[str]:
    """What another shell needs to be told, if anything, before `kt` finds this API."""
    kept = stack.home / ADMIN_TOKEN
    commands = Path(sys.executable).parent
    path = [] if which("kt") else [f'  export PATH={shlex.quote(str(commands))}:"$PATH"']
    url = path + ([] if stack.api_url == DEFAULT_API_URL else [f"  export KEEPTRUSTS_API_URL={stack.api_url}"])
    elsewhere = stack.token.source == str(kept) and stack.home != default_data_dir(Path.home())
    return url + ([f'  export KEEPTRUSTS_API_TOKEN="$(cat {shlex.quote(str(kept))})"'] if elsewhere else [])


def _own_policy(file: Path, api_url: str, demo: bool, environ: Mapping[str, str], say: Say) -> str:
    """The text of the file in the data directory, written on first start; follows the API to another port."""
    has_key = bool(environ.get("OPENAI_API_KEY"))
    if not file.exists():
        text = policy_text(
            "openai" if has_key and not demo else "simulated",
            issue_key(GROUP_PREFIX, token_bytes(SECRET_BYTES)),
            api_url,
        )
        write_private(file, text)
        return text
    text = _read(file)
    seen = glance(text)
    if seen.simulated and has_key and not demo:
        say(f"OPENAI_API_KEY is set, but {file} names the simulated provider: it says beside the target how to switch.")
    if seen.api_url and _is_here(seen.api_url) and seen.api_url.rstrip("/") != api_url:
        text = with_api_url(text, api_url)
        write_private(file, text)
        say(f"{file} expected the API at {seen.api_url}: changed to {api_url}.")
    return text


def _warn_of_another_api(policy: Glance, file: Path, api_port: int, say: Say) -> None:
    if policy.api_url is None:
        say(f"{file} names no api: the gateway runs alone, without wallets, and its events do not reach this API.")
    elif not _is_here(policy.api_url) or urlsplit(policy.api_url).port != api_port:
        say(
            f"{file} expects the API at {policy.api_url}, and this one is at port {api_port}: use --api-port, or change api.url."
        )


def _is_here(url: str) -> bool:
    return urlsplit(url).hostname in ("localhost", LOOPBACK)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        why = trouble.strerror if isinstance(trouble, OSError) else "it is not UTF-8 text"
        raise Failure(f"cannot read {file}: {why}", SAID_NO) from None


def _furnish(stack: Stack) -> Path | None:
    """Gives the first team its budget, and the sample teams theirs; returns the file with the sample teams' keys."""
    api = Api(Connection(stack.api_url, stack.token.value, stack.token.source))
    if stack.own_policy and TEAM_ID not in {wallet.team_id for wallet in list_wallets(api)}:
        api.post(
            "wallets/allocate",
            {"team_id": TEAM_ID, "amount": BUDGET_USD, "period": "monthly", "description": "first start of kt up"},
        )
    return prepare_demo(api, stack.home) if stack.demo else None

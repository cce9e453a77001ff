"""The product over real sockets: truthful provider, API and gateway as processes of their own on free ports."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.journeys.networks import Network, this_machines
from tests.journeys.policy_files import Policy, enforcing, write_policy
from tests.journeys.processes import KT, ROOT, Program, free_port
from tests.journeys.web import Answer, ask
from tests.providers.truth import Served, read_truth

ADMIN_TOKEN = "kt_ak_the-journeys-admin-token-0123456789"
PROVIDER_SECRET = "sk-the-providers-own-key"
READY_LINE = "Gateway ready"
PRICES = (
    {"model": "gpt-4o-mini", "input_cost_per_1k_tokens": 0.00015, "output_cost_per_1k_tokens": 0.0006},
    {"model": "gpt-4o", "input_cost_per_1k_tokens": 0.0025, "output_cost_per_1k_tokens": 0.01},
)


@dataclass(frozen=True, slots=True)
class Key:
    """An issued gateway key and the headers of a call that uses it."""

    id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}


def clean_env(directory: Path) -> dict[str, str]:
    """The environment of a fresh login: what the developer's own shell sets for us does not reach the product."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEEPTRUSTS_", "OPENAI_"))}
    return {**kept, "HOME": str(directory), "PATH": f"{Path(KT).parent}:{kept['PATH']}", "NO_COLOR": "1"}


class Product:
    """Everything that one journey needs. ``start`` before use; ``close`` ends every process that is left."""

    def __init__(
        self,
        directory: Path,
        policy: Callable[[str, str], Policy] = enforcing,
        network: Network | None = None,
        workers: int = 1,
    ) -> None:
        self.directory = directory
        self.workers = workers
        self.network = network or this_machines()
        self.data_dir = directory / "data"
        self.truth_log = directory / "truth.jsonl"
        self.env = {
            **clean_env(directory),
            "KEEPTRUSTS_API_TOKEN": ADMIN_TOKEN,
            "OPENAI_API_KEY": PROVIDER_SECRET,
        }
        self.api_port, self.gateway_port = self.network.api_port, self.network.gateway_port
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.gateway_url = f"http://127.0.0.1:{self.gateway_port}"
        self.env["KEEPTRUSTS_API_URL"] = self.api_url
        self._policy = policy
        self.other_gateways: list[Program] = []
        self._running = ExitStack()

    def start(self) -> None:
        """Provider, API with the tests' prices, gateway: all ready."""
        self.start_provider()
        self.start_api()
        for price in PRICES:
            assert self.admin("POST", "/v1/model-pricing", {"provider": "openai", **price}).status in (200, 201)
        self.policy_file = write_policy(self._policy(self.provider_url, self.api_url), self.directory / "policy.yaml")
        self.start_gateway()

    def start_provider(self) -> None:
        command = [sys.executable, "-m", "tests.providers.truthful", "--log", str(self.truth_log)]
        self.provider = self._start(command, "provider.log", ROOT)
        port = self.provider.wait_for(lambda: self.provider.output.partition("\n")[0], "its port")
        self.provider_url = f"http://127.0.0.1:{port}"

    def start_api(self) -> None:
        command = [KT, "api", "run", "--port", str(self.api_port), "--data-dir", str(self.data_dir)]
        self.api = self._start(command, "api.log")
        self.api.wait_for(lambda: self.network.ready(self.api_url), "the API ready")

    def start_gateway(self, *more: str) -> None:
        command = [KT, "gateway", "run", "--policy-config", str(self.policy_file)]
        command += ["--port", str(self.gateway_port), "--data-dir", str(self.data_dir), *more]
        if self.workers > 1:
            command += ["--workers", str(self.workers)]
        self.gateway = self._start(command, "gateway.log")
        self.gateway.wait_for(lambda: self.network.ready(self.gateway_url), "the gateway ready")
        if self.workers > 1:
            # The port answers as soon as one of them serves.
            self.gateway.wait_for(lambda: self.gateway.output.count(READY_LINE) >= self.workers, "every worker ready")

    def start_another_gateway(self, workers: int = 1) -> int:
        """One more gateway with journals of its own, as on another machine; its port."""
        port = free_port()
        command = [KT, "gateway", "run", "--policy-config", str(self.policy_file), "--port", str(port)]
        elsewhere = str(self.directory / f"elsewhere-{port}")
        command += ["--data-dir", elsewhere] + ([] if workers == 1 else ["--workers", str(workers)])
        another = self._start(command, f"another-{port}.log")
        another.wait_for(lambda: self.network.ready(f"http://127.0.0.1:{port}"), "another gateway ready")
        another.wait_for(lambda: another.output.count(READY_LINE) >= workers, "every worker ready")
        self.other_gateways.append(another)
        return port

    def close(self) -> None:
        self._running.close()

    def admin(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Answer:
        """One request to the API with the administrator's token."""
        url = f"{self.api_url}{path}" + (f"?{urlencode(query)}" if query else "")
        return ask(method, url, body, {"Authorization": f"Bearer {ADMIN_TOKEN}"})

    def chat(self, key: Key, prompt: str = "Say a word.", model: str = "gpt-4o-mini", **more: object) -> Answer:
        """One chat completion through the gateway."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}], **more}
        return self.post_chat(body, key.headers)

    def post_chat(self, body: dict[str, Any] | bytes, headers: Mapping[str, str]) -> Answer:
        return ask("POST", f"{self.gateway_url}/v1/chat/completions", body, headers)

    def kt(self, *arguments: str) -> str:
        """What a ``kt`` command prints; it must succeed."""
        code, out = self.kt_ends(*arguments)
        assert code == 0, f"kt {arguments}: {code}\n{out}"
        return out

    def kt_ends(self, *arguments: str) -> tuple[int, str]:
        """How a ``kt`` command ends, and what it prints; after a failure, also what it says of that."""
        command = [*self.network.enter, KT, *arguments]
        done = subprocess.run(
            command, env=self.env, cwd=self.directory, capture_output=True, timeout=60, check=False, text=True
        )
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")

    def bash(self, script: Path, **env: str) -> str:
        """What a shell script prints on its standard output; it must succeed."""
        command = [*self.network.enter, "bash", str(script)]
        done = subprocess.run(
            command,
            env={**self.env, **env},
            cwd=self.directory,
            capture_output=True,
            timeout=120,
            check=False,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def truth(self) -> list[Served]:
        """What the provider says it has served, by its own log."""
        return read_truth(self.truth_log)

    def _start(self, command: list[str], log: str, cwd: Path | None = None) -> Program:
        program = Program([*self.network.enter, *command], self.directory / log, self.env, cwd or self.directory)
        return self._running.enter_context(program)


@contextmanager
def running_product(
    directory: Path, policy: Callable[[str, str], Policy] = enforcing, workers: int = 1
) -> Iterator[Product]:
    """A started product that is gone after the block, whatever happens in it."""
    product = Product(directory, policy, workers=workers)
    try:
        product.start()
        yield product
    finally:
        product.close()

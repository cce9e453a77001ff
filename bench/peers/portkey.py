"""Portkey's open-source gateway on Node: forwards by headers; no budgets, nothing recorded.

Its lock holds @hono/node-server at 1.13: with later ones every stream ends in a 500 (Portkey-AI/gateway issue 1389).
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.answers import MODEL
from bench.child import Child
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.installing import node_modules
from bench.peers.starting import bare_environment, free_port, wait_until_right
from bench.requests import Address

_PACKAGE = "@portkey-ai/gateway"
_VERSION = "1.15.2"
# It listens on every interface and has no setting for it; loaded first, this keeps it on this machine.
_STAY_LOCAL = """
const { Server } = require('node:net');
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  const options = typeof port === 'object' ? { ...port, host: '127.0.0.1' } : { port, host: '127.0.0.1' };
  return listen.call(this, options, ...rest.filter((one) => typeof one === 'function'));
};
"""


def _install(home: Path) -> str:
    if shutil.which("node") is None:
        raise NotAvailable("node is not on this machine")
    node_modules(home, "portkey")
    return _VERSION


@contextmanager
def _serve(site: Site) -> Iterator[Running]:
    port = free_port()
    stay_local = site.folder / "stay-local.cjs"
    stay_local.write_text(_STAY_LOCAL)
    server = site.home / "node_modules" / _PACKAGE / "build/start-server.js"
    command = ["node", "--require", str(stay_local), str(server), "--headless", f"--port={port}"]
    headers = (
        ("authorization", "Bearer bench"),
        ("x-portkey-provider", "openai"),
        ("x-portkey-custom-host", site.provider_url),
    )
    environment = bare_environment(site.folder, {"NODE_ENV": "production"})
    address = Address(port, "/v1/chat/completions", headers, MODEL)
    with Child(command, core=site.cores.gateway, environment=environment, log=site.folder / "portkey.log") as child:
        wait_until_right(address, child)
        yield Running(child, address)


PORTKEY = Gateway("portkey", "Node; no keys of its own, no budgets, nothing recorded", _install, _serve)

"""nginx as the limit of what a proxy can do: one worker, kept-alive upstream connections, no parsing, no rules."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench.answers import MODEL, whole_answer
from bench.child import Child
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.installing import debian_packages
from bench.peers.starting import bare_environment, free_port, wait_until_right
from bench.peers.wrk import drive_with_wrk, install_wrk
from bench.requests import Address, Ask

_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_buffer_size 256k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ {location} }}
    }}
}}
"""
_UPSTREAM = """
    upstream provider {{
        server 127.0.0.1:{port};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
"""
_FORWARD = """
            proxy_pass {scheme}://provider;
            {tls}
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
"""
_CONSTANT = """
            default_type application/json;
            return 200 '{answer}';
"""


def _program(home: Path) -> Path | None:
    installed = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    unpacked = home / "usr/sbin/nginx"
    return Path(installed) if installed else unpacked if unpacked.exists() else None


def _install(home: Path) -> str:
    """Take the machine's nginx, else unpack Debian's package: installing it would start a service on port 80."""
    if _program(home) is None:
        debian_packages(home, ["nginx"])
    program = _program(home)
    if program is None:
        raise NotAvailable("apt-get downloaded no nginx; try `apt-get update` first")
    said = subprocess.run([str(program), "-v"], capture_output=True, text=True, check=False).stderr
    if "nginx/" not in said:
        raise NotAvailable(f"{program} does not run here: {said.strip()}")
    return said.rpartition("nginx/")[2].strip()


@contextmanager
def _proxy(
    site: Site, provider_port: int, asks: Sequence[Ask], scheme: str = "http", tls: str = ""
) -> Iterator[Running]:
    settings = {"http": _UPSTREAM.format(port=provider_port), "location": _FORWARD.format(scheme=scheme, tls=tls)}
    with _nginx(site, "proxy", site.cores.gateway, settings) as (child, port):
        address = Address(port, "/v1/chat/completions", (), MODEL)
        wait_until_right(address, child, asks)
        yield Running(child, address)


@contextmanager
def _nginx(site: Site, name: str, core: int, settings: Mapping[str, str]) -> Iterator[tuple[Child, int]]:
    port = free_port()
    folder = site.folder / name
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, **settings))
    command = [str(_program(site.home)), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    with Child(command, core=core, environment=bare_environment(folder), log=folder / "nginx.log") as child:
        yield child, port


def _serve(site: Site) -> AbstractContextManager[Running]:
    return _proxy(site, site.mock.port, (Ask(), Ask(stream=True)))


def _serve_secured(site: Site) -> AbstractContextManager[Running]:
    verified = f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {site.mock.certificate}; proxy_ssl_name localhost;"
    return _proxy(site, site.mock.tls_port, (Ask(), Ask(stream=True)), "https", verified)


@contextmanager
def _serve_saturated(site: Site) -> Iterator[Running]:
    answer = whole_answer().decode().replace("'", "\\'")
    constant = {"http": "", "location": _CONSTANT.format(answer=answer)}
    with (
        _nginx(site, "provider", site.cores.load, constant) as (_, provider_port),
        _proxy(site, provider_port, (Ask(),)) as running,
    ):
        yield running


def _install_saturated(home: Path) -> str:
    nginx = _install(home)
    return f"{nginx}, {install_wrk(home)}"


NGINX = Gateway("nginx", "`proxy_pass` over kept-alive connections: no keys, no limits, no record", _install, _serve)

SECURED = Gateway(
    "nginx, TLS", "the same, with TLS to the provider", _install, _serve_secured, frozenset({"call", "paced"})
)

# The load generator and the mock provider are Python and cannot keep nginx busy; one that idles between calls spends
# more on each of them. This row keeps it busy, so that no gateway looks better than it is beside it.
SATURATED = Gateway(
    "nginx, saturated",
    "the same, driven by wrk, with nginx as the provider too",
    _install_saturated,
    _serve_saturated,
    frozenset({"call"}),
    drive=drive_with_wrk,
)

"""nginx as the limit of what a proxy can do: one worker, kept-alive upstream connections, no parsing, no rules."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.answers import MODEL
from bench.child import Child
from bench.peers.gateway import Gateway, NotAvailable, Running, Site
from bench.peers.installing import run_to_end
from bench.peers.starting import bare_environment, free_port, wait_until_right
from bench.requests import Address

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
    upstream provider {{
        server 127.0.0.1:{mock_port};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def _program(home: Path) -> Path | None:
    installed = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    unpacked = home / "usr/sbin/nginx"
    return Path(installed) if installed else unpacked if unpacked.exists() else None


def _install(home: Path) -> str:
    """Take the machine's nginx, else unpack Debian's package: installing it would start a service on port 80."""
    if _program(home) is None:
        home.mkdir(parents=True, exist_ok=True)
        run_to_end(["apt-get", "download", "nginx"], home)
        for package in home.glob("nginx_*.deb"):
            run_to_end(["dpkg", "-x", str(package), str(home)], home)
    program = _program(home)
    if program is None:
        raise NotAvailable("apt-get downloaded no nginx; try `apt-get update` first")
    said = subprocess.run([str(program), "-v"], capture_output=True, text=True, check=False).stderr
    if "nginx/" not in said:
        raise NotAvailable(f"{program} does not run here: {said.strip()}")
    return said.rpartition("nginx/")[2].strip()


@contextmanager
def _serve(site: Site) -> Iterator[Running]:
    port = free_port()
    config = site.folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=site.folder, mock_port=site.mock_port, port=port))
    command = [
        str(_program(site.home)),
        "-p",
        str(site.folder),
        "-e",
        str(site.folder / "error.log"),
        "-c",
        str(config),
    ]
    address = Address(port, "/v1/chat/completions", (), MODEL)
    with Child(
        command, core=site.cores.gateway, environment=bare_environment(site.folder), log=site.folder / "nginx.log"
    ) as child:
        wait_until_right(address, child)
        yield Running(child, address)


NGINX = Gateway("nginx", "`proxy_pass` over kept-alive connections: no keys, no limits, no record", _install, _serve)

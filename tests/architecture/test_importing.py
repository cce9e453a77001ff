"""Importing a module does nothing: whoever wants an effect calls a function."""

import subprocess
import sys

from tests.architecture.sources import ROOT, module_name, python_files

# Runs in a fresh interpreter: an audit hook sees what the interpreter is asked to do while each module loads.
PROBE = """
import os, sys, importlib, threading

EFFECTS = ("socket.bind", "socket.connect", "socket.listen", "socket.getaddrinfo", "subprocess.Popen", "os.fork",
           "os.mkdir", "os.remove", "os.rename", "os.putenv", "os.unsetenv", "signal.pthread_kill", "sqlite3.connect")
loading = None

def hook(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if loading and (event in EFFECTS or writes):
        print(f"{loading}: {event} {args[0] if args else ''}")

sys.dont_write_bytecode = True
sys.addaudithook(hook)
for loading in sys.argv[1:]:
    threads = threading.active_count()
    importlib.import_module(loading)
    if threading.active_count() > threads:
        print(f"{loading}: starts a thread")
"""


def test_importing_any_module_starts_writes_and_opens_nothing():
    modules = [module_name(path) for path in python_files() if path.name != "__main__.py"]
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, *modules], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert probe.returncode == 0, probe.stderr
    assert probe.stdout == ""

"""Where the clients are installed: ``python -m tests.clients.environment`` puts them there, from the files beside it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACE = ROOT / "build" / "clients"
PYTHON = PLACE / "venv" / "bin" / "python"
NODE = PLACE / "venv" / "bin" / "node"
SCRIPTS = PLACE / "scripts"
"""The scripts are installed too: Node looks for packages beside the script that imports them."""

_UV = ROOT / ".ci" / "uv"


def main() -> None:
    """Installs what is not there, and what has changed."""
    if not PYTHON.exists():
        subprocess.run([_UV, "venv", "--quiet", "--no-project", "--python", sys.executable, PLACE / "venv"], check=True)
    requirements = HERE / "requirements.txt"
    subprocess.run(
        [_UV, "pip", "sync", "--quiet", "--only-binary", ":all:", "--python", PYTHON, requirements], check=True
    )
    shutil.copytree(HERE / "scripts", SCRIPTS, dirs_exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PLACE / name)
    npm = [str(NODE.with_name("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(
        npm,
        cwd=PLACE,
        check=True,
        env={**os.environ, "NODE_USE_SYSTEM_CA": "1", "PATH": f"{NODE.parent}:{os.environ['PATH']}"},
    )


if __name__ == "__main__":
    main()

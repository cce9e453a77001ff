"""What we install is pinned to content, from the public index, and named the same everywhere."""

import re
import tomllib
from urllib.parse import urlsplit

import keeptrusts
from tests.architecture.sources import ROOT

PUBLIC = {"pypi.org", "files.pythonhosted.org"}


def locked_packages():
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    return [package for package in packages if "registry" in package["source"]]


def test_every_locked_file_has_a_hash_and_comes_from_the_public_index():
    """A private host in the lock would work on one machine only."""
    for package in locked_packages():
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hosts = {urlsplit(address).hostname for address in [package["source"]["registry"], *(f["url"] for f in files)]}
        assert hosts <= PUBLIC, f"{package['name']}: {hosts - PUBLIC}"
        assert files, f"{package['name']} has no file to install"
        assert all(f["hash"].startswith("sha256:") for f in files), package["name"]


def test_every_dependency_has_a_wheel():
    """A fresh machine has no compiler."""
    assert [package["name"] for package in locked_packages() if not package.get("wheels")] == []


def test_the_installer_is_pinned_by_hash():
    text = (ROOT / "requirements-uv.txt").read_text(encoding="utf-8")
    requirements = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(requirements) == 1
    assert re.match(r"uv==[\d.]+ \\$", requirements[0])
    assert "--hash=sha256:" in text


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == keeptrusts.__version__
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

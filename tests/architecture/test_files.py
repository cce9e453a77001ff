"""One file, one idea: short, and named for what it holds."""

import re

from tests.architecture.sources import module_name, python_files, shown

LINES_MAX = 400
# A name that says nothing about its content collects whatever has no home.
NAMELESS = re.compile(r"^(utils?|helpers?|common|base|managers?|misc|shared)$|(_v\d+|_utils?|_helpers?|_manager)$")


def test_no_file_outgrows_one_idea():
    lines = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    too_long = {name: count for name, count in lines.items() if count > LINES_MAX}
    assert not too_long, f"over {LINES_MAX} lines, so a second idea is present, name it: {too_long}"


def test_no_module_or_package_has_a_name_that_says_nothing():
    nameless = [
        shown(path) for path in python_files() for part in module_name(path).split(".") if NAMELESS.search(part)
    ]
    assert not nameless, f"name these for what they hold: {nameless}"


def test_every_package_has_its_init_file():
    """Without one, mypy, the wheel and the import contracts each see a different set of modules."""
    missing = sorted({shown(path.parent) for path in python_files() if not (path.parent / "__init__.py").exists()})
    assert not missing, f"no __init__.py in {missing}"

"""The product's source files, as the architecture tests read them."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"


def python_files(under: str = "keeptrusts") -> list[Path]:
    """Every Python file below src/`under`, in a fixed order."""
    return sorted((SRC / under).rglob("*.py"))


def module_name(path: Path) -> str:
    """`src/keeptrusts/core/money.py` is `keeptrusts.core.money`; a package is its `__init__.py`."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path) -> str:
    """The path as a person at the root of the checkout would type it."""
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=shown(path))

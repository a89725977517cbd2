"""Who may import whom, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = (
    "app",
    "routers",
    "authentication",
    "services",
    "models",
    "clients",
    "training",
    "benchmarks",
    "tests",
)
MAY_IMPORT = {
    "models": {"models"},
    "services": {"services", "models"},
    "authentication": {"services", "models"},
    "routers": {"routers", "authentication", "services", "models"},
    "app": {"app", "routers", "authentication", "services", "models"},
    "clients": {"clients"},
}
FILES = [
    path for name in MAY_IMPORT for path in (*ROOT.glob(f"{name}.py"), *sorted(ROOT.glob(f"{name}/**/*.py")))
]


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all imported modules, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downwards(path: Path) -> None:
    ours = {name.partition(".")[0] for name in imported(path)} & set(OURS)
    assert ours <= MAY_IMPORT[part_of(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_library_stays_where_it_belongs(path: Path) -> None:
    libraries = {name.partition(".")[0] for name in imported(path)}
    part, relative = part_of(path), path.relative_to(ROOT)
    if not relative.is_relative_to("services/generation"):
        assert not libraries & {"torch", "diffusers", "transformers", "accelerate"}
    if part in ("services", "models"):
        assert not libraries & {"fastapi", "starlette", "uvicorn", "sse_starlette"}
    if part == "models":
        assert not libraries & {"motor", "pymongo"}
    if relative != Path("services/mongo.py"):
        assert "motor" not in libraries


@pytest.mark.parametrize("module", ["app.main", "app.__main__", "services.execution.local"])
def test_the_api_process_never_loads_torch(module: str) -> None:
    script = f"import sys, {module}; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)

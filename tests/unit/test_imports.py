"""The import rules of ARCHITECTURE.md, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("configs", "embeddings", "indexer", "milvus", "webapp")

# Which of our packages each may import.
ALLOWED = {
    "configs": set(),
    "embeddings": set(),
    "milvus": set(),
    "indexer": {"embeddings", "milvus"},
    "webapp": {"embeddings", "milvus"},
}
# The composition roots alone read settings; serving.py and ui.py alone import the page's library.
READ_SETTINGS = (
    "indexer/cli.py",
    "indexer/command/",
    "webapp/cli.py",
    "webapp/commands/",
    "webapp/serving.py",
)
ONLY_IN = {
    "torch": "embeddings/openclip/",
    "open_clip": "embeddings/openclip/",
    "pymilvus": "milvus/",
    "milvus_lite": "milvus/",
    "ray": "indexer/ray_cluster.py",
    "gradio": ("webapp/ui.py", "webapp/serving.py"),
}


def imports() -> Iterator[tuple[str, str]]:
    """(file, top-level package that it imports), over all of our files."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: relative import"
                    names = [node.module or ""]
                for name in names:
                    yield path.relative_to(ROOT).as_posix(), name.partition(".")[0]


def test_rooms_import_only_what_they_may() -> None:
    found = list(imports())
    assert len(found) > 100
    for file, name in found:
        package = file.partition("/")[0]
        if name in PACKAGES and name != package:
            allowed = ALLOWED[package] | ({"configs"} if file.startswith(READ_SETTINGS) else set())
            assert name in allowed, f"{file} imports {name}"


def test_libraries_stay_in_their_rooms() -> None:
    for file, name in imports():
        if name in ONLY_IN:
            assert file.startswith(ONLY_IN[name]), f"{file} imports {name}"


@pytest.mark.parametrize("command", ["indexer.cli", "webapp.cli"])
def test_help_imports_nothing_heavy(command: str) -> None:
    program = (
        f"import sys, contextlib, {command}\n"
        f"with contextlib.suppress(SystemExit): {command}.main(['--help'])\n"
        "print([m for m in ('torch', 'open_clip', 'pymilvus', 'gradio', 'ray', 'numpy', 'PIL')"
        " if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"

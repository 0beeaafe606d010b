"""What may not stand anywhere in the source, read from its syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = sorted(path for path in (ROOT / "src/millrace").rglob("*.py") if "tests" not in path.parts)
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_CALLS = {
    "os.popen",
    "os.system",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "shelve.open",
    "yaml.full_load",
    "yaml.load",
    "yaml.unsafe_load",
    "tempfile.mktemp",
    "ssl._create_unverified_context",
}
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "unittest.mock"}
FORBIDDEN_FILES = {"utils.py", "helpers.py", "common.py", "misc.py", "base.py"}


def dotted(node):
    """``a.b.c`` of an attribute; empty for anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def findings(path, source):
    """Every place of a file where something forbidden stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in FORBIDDEN_NAMES or name in FORBIDDEN_CALLS:
                yield f"{path}:{node.lineno}: {name}"
            for keyword in node.keywords:
                value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                if (keyword.arg, value) in (("shell", True), ("verify", False)):
                    yield f"{path}:{node.lineno}: {keyword.arg}={value}"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{name}" for name in names)]
            for name in FORBIDDEN_IMPORTS.intersection(names):
                yield f"{path}:{node.lineno}: import {name}"
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{path}:{node.lineno}: except without a class"


def test_T058_nothing_evaluates_text_or_unpickles_or_trusts_any_certificate():
    found = [
        finding
        for path in SOURCE
        for finding in findings(path.relative_to(ROOT), path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "exec(text)",
        "import pickle",
        "from unittest import mock",
        "yaml.load(text)",
        "subprocess.run(command, shell=True)",
        "client.get(url, verify=False)",
        "try:\n    pass\nexcept:\n    pass",
    ],
)
def test_a_planted_mistake_is_found(line):
    assert len(list(findings(Path("planted.py"), line))) == 1


def test_no_file_is_called_by_what_it_is_not():
    assert [str(path) for path in SOURCE if path.name in FORBIDDEN_FILES] == []


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCE
        if (tree := ast.parse(path.read_text(encoding="utf-8"))).body
        and ast.get_docstring(tree) is None
    ]
    assert silent == []


APPS = sorted(path.parent for path in (ROOT / "src/millrace/apps").glob("*/app.yaml"))


@pytest.mark.parametrize("folder", [pytest.param(path, id=path.name) for path in APPS])
def test_an_app_folder_is_complete(folder):
    wanted = ["__init__.py", "README.md", "icon.svg", "modules", "cases"]
    assert [name for name in wanted if not (folder / name).exists()] == []
    # Nothing but the folders that the app kit reads, and Python beside them.
    known = {"modules", "cases", "connections", "rpcs", "tests", "samples", "__pycache__"}
    assert {path.name for path in folder.iterdir() if path.is_dir()} - known == set()
    assert folder.name.isidentifier()


def test_every_folder_of_apps_is_an_app():
    folders = [
        path
        for path in (ROOT / "src/millrace/apps").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    ]
    assert sorted(folders) == APPS

"""Who may import whom, and that importing does nothing."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROBE = """
import json, logging, os, pkgutil, signal, sys, threading, warnings

def state():
    root = logging.getLogger()
    return {
        "root handlers": [repr(handler) for handler in root.handlers],
        "root level": root.level,
        "our loggers": sorted(
            name for name, logger in logging.Logger.manager.loggerDict.items()
            if name.startswith("millrace") and isinstance(logger, logging.Logger)
            and (logger.handlers or logger.level or not logger.propagate)
        ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "environment": dict(os.environ),
        "working directory": os.getcwd(),
        "files here": sorted(os.listdir(".")),
        "signals": [repr(signal.getsignal(number)) for number in (2, 15)],
    }

before = state()
import millrace
names = []
for found in pkgutil.walk_packages(millrace.__path__, "millrace."):
    if found.name == "millrace.__main__" or ".apps." in found.name and ".tests" in found.name:
        continue
    __import__(found.name)
    names.append(found.name)
after = state()
print(json.dumps({
    "names": names,
    "changed": sorted(key for key in before if before[key] != after[key]),
    "heavy": sorted(HEAVY & set(sys.modules)),
}))
"""
"""Run in a process of its own: what one import did cannot be undone."""

HEAVY = {"PIL", "alembic", "feedparser", "lxml", "markdown_it", "nh3", "pysequoia", "selectolax"}
"""Imported by the function that needs them, so that a process that needs none stays small."""


def probed(code, folder):
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"HEAVY = {HEAVY}\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def test_the_import_contracts_hold(tmp_path):
    command = Path(sys.executable).parent / "lint-imports"
    found = str(command) if command.is_file() else shutil.which("lint-imports")
    assert found is not None
    ran = subprocess.run(
        [found, "--cache-dir", str(tmp_path), "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout


def test_importing_every_module_changes_nothing(tmp_path):
    told = probed(PROBE, tmp_path)
    assert len(told["names"]) > 150
    assert told["changed"] == []


def test_importing_every_module_loads_no_heavy_library(tmp_path):
    assert probed(PROBE, tmp_path)["heavy"] == []


def test_the_help_of_the_command_needs_no_web_framework_and_no_database(tmp_path):
    told = probed(
        "import json, sys\n"
        "from millrace.cli.main import run\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert run(['--help']) == 0\n"
        "print(json.dumps({'loaded': sorted({'fastapi', 'sqlalchemy', 'uvicorn', 'httpx2', "
        "'pydantic'} & set(sys.modules))}))\n",
        tmp_path,
    )
    assert told["loaded"] == []

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from millrace.cli.main import COMMANDS


def test_the_help_lists_every_command_and_imports_none_of_them() -> None:
    code = (
        "import sys\nfrom millrace.cli.main import run\ncode = run(['--help'])\n"
        "heavy = {'fastapi', 'sqlalchemy', 'pydantic', 'uvicorn', 'yaml'} & set(sys.modules)\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, (_, summary) in COMMANDS.items():
        assert name in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(millrace: Any, name: str) -> None:
    said = millrace(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: millrace {name}")


def test_the_version(millrace: Any) -> None:
    assert millrace("--version").out.startswith("millrace, version ")


def test_a_command_that_does_not_exist_is_named(millrace: Any) -> None:
    said = millrace("fly")
    assert said.code == 2
    assert "fly" in said.err


def test_a_wrong_setting_is_one_readable_message(
    millrace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_PROT", "1")
    said = millrace("doctor")
    assert said.code == 1
    assert said.err == "MILLRACE_PROT is not a setting; did you mean MILLRACE_PORT?\n"


def test_a_file_that_is_not_there_is_named(millrace: Any) -> None:
    said = millrace("check", "nowhere.yaml")
    assert said.code == 2
    assert "nowhere.yaml" in said.err
    assert "Traceback" not in said.err

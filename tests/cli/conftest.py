from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from millrace.cli.main import run


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Millrace = Callable[..., Said]


@pytest.fixture
def millrace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Millrace:
    """Runs a command in an empty folder, with no settings but a data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILLRACE_DATA", str(tmp_path / "data"))

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call

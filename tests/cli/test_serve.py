"""The server as a process: it starts, answers, takes a webhook, and stops when it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STARTS_WITHIN_SECONDS = 60
"""Far more than it takes: these tests also run on machines that do much else."""


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    data = tmp_path / "data"
    monkeypatch.setenv("MILLRACE_DATA", str(data))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    process = subprocess.Popen(
        [sys.executable, "-m", "millrace", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    yield process, line.removeprefix("Millrace runs at ").strip()
    process.kill()
    process.wait()
    process.stdout.close()


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=content, headers={"Content-Type": "application/json", **headers}
    )
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=STARTS_WITHIN_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.e2e
def test_it_serves_signs_in_runs_and_stops(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    process, link = server
    base = link.partition("/sign-in")[0]
    assert base.startswith("http://127.0.0.1:")
    assert ask(f"{base}/health") == (200, '{"status":"ok"}')

    made = subprocess.run(
        [sys.executable, "-m", "millrace", "token"],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    token = {"Authorization": f"Bearer {made.stdout.strip()}"}

    status, hook = ask(f"{base}/api/v1/webhooks", {"name": "orders"}, **token)
    assert status == 201
    text = (
        "millrace: 1\nschedule: instant\nflow:\n"
        "  - {id: 1, module: 'webhooks:receive', webhook: orders}\n"
        "  - {id: 2, module: 'webhooks:respond',"
        " parameters: {status: 200, json: {hello: '{{1.name}}'}}}\n"
    )
    _, saved = ask(f"{base}/api/v1/scenarios", {"text": text}, **token)
    id = json.loads(saved)["scenario"]["id"]
    assert ask(f"{base}/api/v1/scenarios/{id}/activate", {}, **token)[0] == 200
    status, answered = ask(json.loads(hook)["url"], {"name": "Ada"})
    assert (status, json.loads(answered)) == (200, {"hello": "Ada"})

    second = subprocess.run(
        [sys.executable, "-m", "millrace", "serve", "--port", "0"],
        capture_output=True,
        text=True,
    )
    assert second.returncode == 1
    assert "Another Millrace process uses" in second.stderr

    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=STARTS_WITHIN_SECONDS) == 0

"""The demo does what the README shows, line by line."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]


def _free_ports() -> int:
    """A port with three free ones above it, where the practice service listens."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for offset in range(4):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port


def _shown() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"\$ make start\n(Millrace runs.*?)^```", readme, re.M | re.S)
    assert block is not None
    return block[1].splitlines()


def _alike(shown: str, port: int) -> str:
    """A pattern for a shown line: the ellipsis stands for a secret, the port for another."""
    pattern = re.escape(shown).replace("…", r"[\w-]+")
    return pattern.replace("8080", str(port)).replace("8081", str(port + 1))


def test_the_demo_prints_and_answers_what_the_readme_shows(tmp_path: Path) -> None:
    port = _free_ports()
    command = [sys.executable, "-m", "millrace", "serve", "--demo"]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "data"), "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    try:
        shown = _shown()
        printed = [process.stdout.readline().rstrip("\n") for _ in range(4)]
        for expected, line in zip(shown[:4], printed, strict=True):
            assert re.fullmatch(_alike(expected, port), line), (expected, line)
        order = re.search(r"-d '(.*?)' (http://\S+)", printed[2])
        assert order is not None
        request = Request(order[2], order[1].encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            body = answer.read().decode()
        assert re.fullmatch(_alike(shown[5], port), body), (shown[5], body)
        with urlopen(f"http://127.0.0.1:{port + 1}/mail", timeout=5) as answer:
            mail = json.load(answer)["messages"]
        assert [message["subject"] for message in mail] == ["Oak chair is short"]
        with urlopen(f"http://127.0.0.1:{port + 1}/effects", timeout=5) as answer:
            assert json.load(answer)["total"] == 1
    finally:
        begun = time.monotonic()
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - begun < 20
        process.stdout.close()

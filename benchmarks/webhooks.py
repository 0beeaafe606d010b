"""W1 and W2 against ``millrace serve``, load generator beside it on the same machine.

    python -m benchmarks.webhooks [--requests 20000] [--connections 32] [--json]

W1 counts answers; W2 counts executions that are complete in the history, from the first request to
the last execution. CPU is that of the server's process, from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from benchmarks.scenarios import BODY, W1, W2

TICKS = os.sysconf("SC_CLK_TCK")


async def prepare(data: Path) -> dict[str, str]:
    """Make the scenarios; answers the path of each one's webhook."""
    from millrace.runtime.wire import build

    runtime = await build(data)
    await runtime.start(is_scheduling=False)
    owner = await runtime.users.ensure_owner()
    paths = {}
    for name, text in (("w1", W1), ("w2", W2)):
        address, _ = await runtime.webhooks.create(by=owner, name=name)
        saved = await runtime.scenarios.create(by=owner, text=text)
        await runtime.scenarios.publish(saved.scenario.id, by=owner)
        await runtime.scenarios.activate(saved.scenario.id, by=owner)
        paths[name] = address[address.index("/hooks/") :]
    await runtime.close()
    return paths


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """``millrace serve`` in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        self.data = data
        self.begun = time.perf_counter()
        command = [sys.executable, "-m", "millrace", "serve", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.DEVNULL
        )
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/health") as answer:
                    answer.read()
                break
            except OSError:
                time.sleep(0.01)
        self.answering_after = time.perf_counter() - self.begun
        self.settle()

    def settle(self) -> None:
        """Wait until the start's own work (imports beside the loop) is over."""
        busy = True
        while busy:
            before = self.cpu_seconds()
            time.sleep(0.5)
            busy = self.cpu_seconds() - before > 0.05

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def completed(self) -> int:
        with sqlite3.connect(f"file:{self.data}/millrace.db?mode=ro", uri=True) as database:
            row = database.execute(
                "SELECT count(*) FROM executions WHERE status = 'success'"
            ).fetchone()
        return row[0]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def take(server: Server, path: str, *, requests: int, connections: int) -> dict[str, object]:
    before, cpu = server.completed(), server.cpu_seconds()
    begun = time.perf_counter()
    load = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.load", f"http://127.0.0.1:{server.port}{path}",
            "--body", BODY, "--requests", str(requests), "--connections", str(connections),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures = json.loads(load.stdout)
    sent = figures["requests"]
    while server.completed() - before < sent:
        time.sleep(0.01)
    took = time.perf_counter() - begun - LOAD_START_SECONDS
    return {
        "requests": sent,
        "statuses": figures["statuses"],
        "answered_per_second": round(figures["per_second"]),
        "completed_per_second": round(sent / max(took, figures["seconds"])),
        "p50_ms": round(figures["p50_ms"], 1),
        "p99_ms": round(figures["p99_ms"], 1),
        "cpu_ms_per_execution": round((server.cpu_seconds() - cpu) / sent * 1000, 3),
        "rss_mb": round(server.rss_mb()),
    }


LOAD_START_SECONDS = 0.15
"""The load generator's own start, which is not the server's time."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        paths = asyncio.run(prepare(data))
        server = Server(data)
        figures: dict[str, object] = {
            "start_seconds": round(server.answering_after, 2),
            "idle_rss_mb": round(server.rss_mb()),
        }
        for name in ("w1", "w2"):
            take(server, paths[name], requests=500, connections=given.connections)
            figures[name] = take(
                server, paths[name], requests=given.requests, connections=given.connections
            )
        server.stop()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

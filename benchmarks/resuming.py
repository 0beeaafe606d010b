"""Resume an execution that was killed after a million operations.

    python -m benchmarks.resuming [--operations 1000000]

A process iterates (W3) until the journal holds that many operations and is killed with SIGKILL. A
second process opens the same folder; the time runs from the beginning of its start, with everything
imported, until the execution has gone on to its next operation.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.scenarios import W3


async def begin(data: Path, items: int) -> None:
    from millrace.runtime.wire import build

    runtime = await build(data)
    await runtime.start(is_scheduling=False)
    owner = await runtime.users.ensure_owner()
    saved = await runtime.scenarios.create(by=owner, text=W3.format(items=items))
    await runtime.scenarios.publish(saved.scenario.id, by=owner)
    program = await runtime.programs.published(owner.team_id, saved.scenario.id)
    _, done = await runtime.executions.start(program)
    await done


async def resume(data: Path) -> dict[str, object]:
    from millrace.runtime.wire import build

    begun = time.perf_counter()
    runtime = await build(data)
    await runtime.start(is_scheduling=False)
    while True:
        drivers = list(runtime.executions.drivers.values())
        if drivers and drivers[0].ledger.run.operations > drivers[0].resumed_at > 0:
            break
        await asyncio.sleep(0.001)
    took = time.perf_counter() - begun
    at = drivers[0].resumed_at
    drivers[0].cancel("measured")
    await asyncio.sleep(0.05)
    await runtime.close()
    return {
        "resumed_at_operation": at,
        "seconds": round(took, 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def journalled(data: Path) -> int:
    try:
        with sqlite3.connect(f"file:{data}/millrace.db?mode=ro", uri=True) as database:
            row = database.execute("SELECT max(last_seq) FROM segments").fetchone()
        return row[0] or 0
    except sqlite3.OperationalError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--begin", type=Path)
    given = parser.parse_args()
    import uvloop

    if given.begin is not None:
        uvloop.run(begin(given.begin, given.operations))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        options = ["--begin", folder, "--operations", str(given.operations)]
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.resuming", *options])
        while journalled(data) < given.operations:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(json.dumps(uvloop.run(resume(data))))


if __name__ == "__main__":
    main()

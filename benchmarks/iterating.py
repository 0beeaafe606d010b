"""W3: one execution that iterates items through three modules, with full history on disk.

    python -m benchmarks.iterating [--items 10000]

Prints microseconds per operation and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.scenarios import W3


async def measure(data: Path, items: int) -> dict[str, object]:
    from millrace.runtime.wire import build

    runtime = await build(data)
    await runtime.start(is_scheduling=False)
    owner = await runtime.users.ensure_owner()
    figures = []
    for _ in range(3 if items <= 100_000 else 1):
        saved = await runtime.scenarios.create(by=owner, text=W3.format(items=items))
        await runtime.scenarios.publish(saved.scenario.id, by=owner)
        program = await runtime.programs.published(owner.team_id, saved.scenario.id)
        begun = time.perf_counter()
        _, done = await runtime.executions.start(program)
        outcome = await done
        took = time.perf_counter() - begun
        assert outcome.finish.status == "success", outcome.finish
        figures.append(took / outcome.finish.operations * 1e6)
    await runtime.close()
    size = sum(file.stat().st_size for file in data.glob("millrace.db*"))  # noqa: ASYNC240
    return {
        "items": items,
        "operations": outcome.finish.operations,
        "us_per_operation": round(min(figures), 1),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "database_mb": round(size / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=10_000)
    given = parser.parse_args()
    import uvloop

    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(uvloop.run(measure(Path(folder), given.items))))


if __name__ == "__main__":
    main()

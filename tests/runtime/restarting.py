"""One life of an installation that may be killed: started again by its test until all is done.

Usage: restarting.py DATA SCENARIO_FILE. The first life makes the scenario and sends it one event.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from millrace.appkit.catalog import Catalog
from millrace.runtime.wire import build

PROBE = Path(__file__).parent / "probe"


async def live(data: Path, scenario: str) -> None:
    runtime = await build(data, catalog=Catalog.load(PROBE))
    is_first = await runtime.users.owner() is None
    owner = await runtime.users.ensure_owner()
    await runtime.start(is_scheduling=False)
    if is_first:
        await runtime.webhooks.create(by=owner, name="w")
        saved = await runtime.scenarios.create(by=owner, text=scenario)
        await runtime.scenarios.publish(saved.scenario.id, by=owner)
        await runtime.scenarios.activate(saved.scenario.id, by=owner)
        program = await runtime.programs.published(owner.team_id, saved.scenario.id)
        _, fresh = runtime.executions.put(
            team_id=owner.team_id,
            scenario_id=saved.scenario.id,
            program=program,
            kind="webhook",
            payload={"bundles": [{"n": 3}]},
        )
        await fresh.accepted
    while not runtime.queue.is_idle:  # noqa: ASYNC110 - what a person would do: look again
        await asyncio.sleep(0.005)
    rows = await runtime.history.page(by=owner)
    kept = await runtime.incomplete.page(by=owner)
    print(  # noqa: T201
        json.dumps(
            {
                "executions": [[row.status, row.operations, row.error_type] for row in rows],
                "incomplete": [[row.error_type, row.error_module] for row in kept],
            }
        )
    )
    await runtime.close()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), Path(sys.argv[2]).read_text()))

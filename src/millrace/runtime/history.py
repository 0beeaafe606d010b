"""The history: what was executed, what every operation got and gave, and what it used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from millrace.clock import Clock
from millrace.errors import Conflict, NotFound, ScenarioInvalid
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.executions import Executions
from millrace.runtime.journal import Record, decode, milliseconds, read_records
from millrace.runtime.seals import summary_context
from millrace.runtime.services import TeamVault
from millrace.storage.database import Database
from millrace.storage.executions import Executions as Rows
from millrace.storage.store import ExecutionRow, Store
from millrace.storage.usage import DAY_MS, UsageSums

APP_SUMS = 5_000
"""Newest executions looked into for the sums by app: their summaries are sealed one by one."""

_SHOWN = {"a": "module", "f": "module", "n": "engine", "c": "commit", "r": "rollback"}
_SHOWN |= {"x": "cancelled", "w": "waited", "k": "kept"}


class Operation(msgspec.Struct, kw_only=True):
    """One line of an execution as people read it."""

    seq: int
    kind: str
    """module | engine | commit | rollback | cancelled | waited | kept."""

    module: str
    """The module's id in the scenario; empty when none did it."""

    name: str = ""
    """``app:module`` of it."""

    at: datetime
    duration_ms: float
    input: Any = None
    output: Any = None
    """Bundles; of a stream, one page to an operation."""

    error: dict[str, Any] | None = None
    warnings: list[str] = []


class Details(msgspec.Struct, kw_only=True):
    """One execution with everything that is kept of it."""

    execution: ExecutionRow
    by_module: dict[str, int]
    """Operations by module."""

    links: dict[str, list[int]]
    """Filters by module: bundles that passed, bundles that were stopped."""

    outputs: dict[str, Any] | None
    operations: list[Operation]
    next: int | None
    """Give it as `after` for the next page; None: that is all."""


class Sum(msgspec.Struct, kw_only=True):
    """What was used by something."""

    executions: int = 0
    operations: int = 0
    transfer_bytes: int = 0
    errors: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """What a team used in a time."""

    since: datetime
    total: Sum
    days: dict[str, Sum]
    """By date, in UTC."""

    scenarios: dict[str, Sum]
    """By scenario id."""

    apps: dict[str, int]
    """Operations by app, of the newest executions: see `APP_SUMS`."""


class History:
    """The executions of each team."""

    def __init__(
        self,
        database: Database,
        *,
        store: Store,
        clock: Clock,
        vault: TeamVault,
        executions: Executions,
        activity: Activity,
    ) -> None:
        self._rows = Rows(database)
        self._sums = UsageSums(database)
        self._store = store
        self._clock = clock
        self._vault = vault
        self._executions = executions
        self._activity = activity

    async def page(
        self,
        *,
        by: Actor,
        before: str | None = None,
        limit: int = 50,
        scenario_id: str | None = None,
        status: str | None = None,
    ) -> list[ExecutionRow]:
        """The newest executions first; the next page begins behind the last one's id."""
        by.authorize("history.read")
        equal = {"scenario_id": scenario_id, "status": status}
        wanted = {name: value for name, value in equal.items() if value is not None}
        return await self._rows.page(by.team_id, before=before, limit=limit, **wanted)

    async def get(self, id: str, *, by: Actor, after: int = -1, limit: int = 200) -> Details:
        """One execution with the inputs and outputs of its operations, in their order.

        Args:
            id: Which execution.
            by: Who asks.
            after: Only operations behind this number.
            limit: At most so many operations.

        Raises:
            NotFound: the team has no such execution.
        """
        by.authorize("history.read")
        row = await self._rows.get(by.team_id, id)
        summary = self._summary(row)
        names = await self._module_names(row)
        operations: list[Operation] = []
        position = -1
        more: int | None = None
        sealer = self._vault.sealer(by.team_id)
        for segment in await self._store.segments(by.team_id, id):
            if segment.kind != "records":
                continue
            for record in read_records(segment, sealer):
                if record.kind not in _SHOWN or (record.kind in "cw" and not record.module):
                    continue
                position += 1
                if position <= after:
                    continue
                if len(operations) == limit:
                    more = position - 1
                    break
                operations.append(_operation(position, record, names))
            if more is not None:
                break
        return Details(
            execution=row,
            by_module=summary.get("by_module") or {},
            links=summary.get("links") or {},
            outputs=summary.get("outputs"),
            operations=operations,
            next=more,
        )

    async def cancel(self, id: str, *, by: Actor) -> None:
        """Stop an execution before its next operation.

        Raises:
            NotFound: the team has no such execution.
            Conflict: it is over, or waits for its next start.
        """
        by.authorize("history.cancel")
        await self._rows.get(by.team_id, id)
        stopped = self._executions.cancel(
            id, team_id=by.team_id, message="The execution was stopped by a person."
        )
        if not stopped:
            raise Conflict("The execution is not running any more.")
        await self._activity.note(by, "history.cancel", "execution", id)

    async def usage(self, *, by: Actor, days: int = 30, scenario_id: str | None = None) -> Usage:
        """What was used in the last days, by day, scenario and app."""
        by.authorize("history.read")
        since = self._clock.now() - timedelta(days=days)
        since_id = f"{milliseconds(since):012x}"
        usage = Usage(since=since, total=Sum(), days={}, scenarios={}, apps={})
        for row in await self._sums.by_day(by.team_id, since_id=since_id, scenario_id=scenario_id):
            date = datetime.fromtimestamp(row.day * DAY_MS / 1000, UTC).date().isoformat()
            of_day = usage.days.setdefault(date, Sum())
            of_scenario = usage.scenarios.setdefault(row.scenario_id, Sum())
            for total in (usage.total, of_day, of_scenario):
                total.executions += row.executions
                total.operations += row.operations
                total.transfer_bytes += row.transfer_bytes
                total.errors += row.errors
        usage.apps = await self._apps(by.team_id, since_id, scenario_id)
        return usage

    async def _apps(self, team_id: str, since_id: str, scenario_id: str | None) -> dict[str, int]:
        sums: dict[str, int] = {}
        wanted = {} if scenario_id is None else {"scenario_id": scenario_id}
        rows = await self._rows.page(team_id, limit=APP_SUMS, **wanted)
        for row in rows:
            if row.id < since_id:
                break
            names = await self._module_names(row)
            for module, count in (self._summary(row).get("by_module") or {}).items():
                app = names.get(module, "").partition(":")[0] or "unknown"
                sums[app] = sums.get(app, 0) + count
        return dict(sorted(sums.items(), key=lambda pair: -pair[1]))

    def _summary(self, row: ExecutionRow) -> dict[str, Any]:
        if row.summary is None:
            return {}
        sealer = self._vault.sealer(row.team_id)
        summary: dict[str, Any] = decode(sealer.open(row.summary, summary_context(row.id)))
        return summary

    async def _module_names(self, row: ExecutionRow) -> dict[str, str]:
        """Module id → ``app:module`` in the version that ran."""
        if row.version_id is None:
            return {}
        try:
            program = await self._executions.programs.version(row.team_id, row.version_id)
        except (NotFound, ScenarioInvalid):
            return {}
        return {node.id: node.module.module for node in program.plan.nodes}


def _operation(seq: int, record: Record, names: dict[str, str]) -> Operation:
    extra = record.extra if isinstance(record.extra, dict) else {}
    error = None
    if record.failure:
        type_, message, *rest = record.failure
        error = {"type": type_, "message": message, "detail": rest[0] if rest else None}
    return Operation(
        seq=seq,
        kind=_SHOWN[record.kind],
        module=record.module,
        name=names.get(record.module, ""),
        at=record.at,
        duration_ms=record.took_us / 1000,
        input=record.input,
        output=record.output,
        error=error,
        warnings=list(extra.get("warnings") or ()),
    )

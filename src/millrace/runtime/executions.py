"""Executions: begun by an event, carried out by a driver, ended by the policy of this file."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millrace.engine import Limits, Start
from millrace.engine.defaults import RERUN_SECONDS, RETRY_SECONDS, default_of
from millrace.errors import MillraceError, ModuleError, NotFound, UnexpectedError
from millrace.expressions.compile import compile_template
from millrace.expressions.convert import text_of
from millrace.expressions.scope import Scope
from millrace.ids import new_id
from millrace.runtime.confidential import SECRET
from millrace.runtime.driver import Driver, Outcome
from millrace.runtime.job import Job
from millrace.runtime.journal import decode, encode, milliseconds
from millrace.runtime.ledger import watch_writes
from millrace.runtime.program import Program
from millrace.runtime.programs import Programs
from millrace.runtime.seals import incomplete_context, state_context
from millrace.runtime.services import Services
from millrace.scenario.model import Settings
from millrace.storage.inbox import Inbox
from millrace.storage.incomplete import Incomplete
from millrace.storage.scenarios import ScenarioRow
from millrace.storage.store import (
    Append,
    EventKind,
    EventRow,
    Finish,
    IncompleteChange,
    IncompleteRow,
    NewEvent,
    Requeue,
    ScenarioChange,
)
from millrace.work.queue import Queue

_LOG = logging.getLogger(__name__)

INCOMPLETE_DAYS = 30
"""How long a failed bundle is kept. Source: Integromat's privacy policy, "Incomplete runs"."""


@dataclass(slots=True)
class Fresh:
    """What is known of an event that has just been put into the queue by this process."""

    payload: dict[str, Any]
    program: Program | None = None
    accepted: asyncio.Future[None] = None  # type: ignore[assignment]
    reply: asyncio.Future[Any] | None = None
    done: asyncio.Future[Outcome] = None  # type: ignore[assignment]


class Executions:
    """Begins, carries out and ends executions.

    Args:
        services: The installation.
        programs: Scenario versions ready to run.
        incomplete: The store's incomplete executions.
        limits: What one execution may use.
    """

    def __init__(
        self,
        services: Services,
        programs: Programs,
        incomplete: Incomplete,
        *,
        limits: Limits | None = None,
    ) -> None:
        self.services = services
        self.programs = programs
        self.incomplete = incomplete
        self.limits = limits or Limits()
        self.queue: Queue
        """Set by ``wire``: the queue calls us, and we put events into it."""
        self.drivers: dict[str, Driver] = {}
        """Executions under way, by id."""
        self._fresh: dict[str, Fresh] = {}
        self._inbox = Inbox(services.store)
        self._lanes_of_kept: dict[str, dict[str, str]] = {}
        """Incomplete executions that ordered scenarios wait for: by scenario, id → lane."""

    # -- beginning -------------------------------------------------------------------------------

    def put(
        self,
        *,
        team_id: str,
        scenario_id: str | None,
        program: Program | None,
        kind: EventKind,
        payload: dict[str, Any],
        lane: str | None = None,
        origin_id: str | None = None,
        event_id: str | None = None,
        is_held: bool = False,
        is_answered: bool = False,
        is_awaited: bool = False,
    ) -> tuple[NewEvent, Fresh]:
        """Put an event into the inbox; ``fresh.accepted`` is done when it is on disk.

        Args:
            team_id: Whose.
            scenario_id: What is to run; None: the event waits until a scenario wants it.
            program: The version to run; None: the one that is published when it begins.
            kind: What asks for it.
            payload: What `Start` needs: ``trigger``, ``bundles``, ``inputs``, ``cycles`` …
            lane: Events of one lane run one after the other.
            origin_id: The webhook or incomplete execution it comes from.
            event_id: For events that must exist once only.
            is_held: It is not to begin until the scenario is activated.
            is_answered: Somebody waits for a responder: ``fresh.reply``.
            is_awaited: Somebody waits for the end: ``fresh.done``.
        """
        now_ms = milliseconds(self.services.clock.now())
        id = event_id or new_id()
        if lane is None and program is not None:
            lane = _lane(program, payload)
        payload["version"] = None if program is None else program.version_id
        sealer = self.services.vault.sealer(team_id)
        event = NewEvent(
            id=id,
            team_id=team_id,
            scenario_id=scenario_id,
            kind=kind,
            payload=sealer.seal(encode(payload), event_context(id)),
            received_at_ms=now_ms,
            due_at_ms=now_ms,
            lane=lane,
            origin_id=origin_id,
            execution_id=new_id(),
            state="held" if is_held or scenario_id is None else "waiting",
        )
        loop = asyncio.get_running_loop()
        fresh = Fresh(payload, program=program)
        if is_answered:
            fresh.reply = loop.create_future()
        if is_awaited:
            fresh.done = loop.create_future()
        if event.state == "waiting":
            self._fresh[id] = fresh
        fresh.accepted = self.queue.put(event)
        if event.lane is not None:
            # Only what is in the store is ever claimed: a refused event would stay in memory.
            fresh.accepted.add_done_callback(lambda accepted: self._forget_refused(id, accepted))
        return event, fresh

    def _forget_refused(self, event_id: str, accepted: asyncio.Future[None]) -> None:
        error = None if accepted.cancelled() else accepted.exception()
        if error is None and not accepted.cancelled():
            return
        fresh = self._fresh.pop(event_id, None)
        if fresh is not None:
            _refuse(fresh.done, error or UnexpectedError("the process ends"))
            _refuse(fresh.reply, error or UnexpectedError("the process ends"))

    async def start(
        self,
        program: Program,
        *,
        kind: EventKind = "manual",
        inputs: Mapping[str, Any] | None = None,
        bundles: list[dict[str, Any]] | None = None,
        trigger: str | None = None,
        cycles: int | None = 1,
    ) -> tuple[str, asyncio.Future[Outcome]]:
        """Start a scenario now; answers the execution's id and a future of how it ended."""
        payload = {
            "trigger": trigger,
            "bundles": bundles,
            "inputs": dict(inputs or {}),
            "cycles": cycles,
        }
        event, fresh = self.put(
            team_id=program.team_id,
            scenario_id=program.scenario_id,
            program=program,
            kind=kind,
            payload=payload,
            is_awaited=True,
        )
        await fresh.accepted
        return event.execution_id or "", fresh.done

    async def retry(self, row: IncompleteRow) -> None:
        """Put an incomplete execution into the inbox, to go on at its failed module now.

        A retry that is planned for later is brought forward instead; one that is under way counts.
        """
        now_ms = milliseconds(self.services.clock.now())
        if await self._inbox.hasten(row.team_id, lane=_retry_lane(row), now_ms=now_ms):
            self.queue.wake()
        else:
            await self.queue.put(self._retry_event(row))

    async def order_held(self, team_id: str, scenario_id: str) -> None:
        """Put in order what was kept for a scenario before it was known which one it would be."""
        held = await self._inbox.unordered(team_id, scenario_id)
        if not held:
            return
        program = await self.programs.published(team_id, scenario_id)
        sealer = self.services.vault.sealer(team_id)
        lanes = {}
        for id, sealed in held:
            lane = _lane(program, decode(sealer.open(sealed, event_context(id))))
            if lane is not None:
                lanes[id] = lane
        if lanes:
            await self._inbox.order(team_id, lanes)

    async def release(self, team_id: str, scenario_id: str) -> None:
        """Let the held events of a scenario begin, as far as they may."""
        await self.order_held(team_id, scenario_id)
        await self.services.store.release(team_id, scenario_id)
        self.queue.wake()

    def cancel(self, execution_id: str, *, team_id: str, message: str) -> bool:
        """Stop an execution before its next operation; False when it is not under way here."""
        driver = self.drivers.get(execution_id)
        if driver is None or driver.team_id != team_id:
            return False
        driver.cancel(message)
        return True

    # -- carrying out ----------------------------------------------------------------------------

    async def carry_out(self, event: EventRow, is_resumed: bool) -> None:
        """What the queue calls: one event to its end, or until it is parked."""
        fresh = self._fresh.pop(event.id, None)
        try:
            job, row = await self._job(event, fresh, is_resumed)
            if job is None:
                if fresh is not None:
                    _resolve(fresh.reply, None)
                return
            driver = self.drivers[job.execution_id] = Driver(self.services, job)
            try:
                if self.services.live.is_watched(event.team_id):
                    self._publish(job, {"type": "started"})
                outcome = await driver.run()
                await self._end(job, driver, outcome, row)
            finally:
                del self.drivers[job.execution_id]
            if fresh is None:
                return
            if not outcome.is_parked:
                _resolve(fresh.done, outcome)
                _resolve(fresh.reply, outcome)
            elif _is_awaited(fresh.done) or _is_awaited(fresh.reply):
                # Whoever waits goes on waiting while the execution is out of memory.
                self._fresh[event.id] = fresh
        except BaseException as error:
            if fresh is not None:
                _refuse(fresh.done, error)
                _refuse(fresh.reply, error)
            raise

    async def _job(
        self, event: EventRow, fresh: Fresh | None, is_resumed: bool
    ) -> tuple[Job | None, ScenarioRow | None]:
        """Everything an execution needs to begin; no job when it may not begin now."""
        team_id, scenario_id = event.team_id, event.scenario_id or ""
        payload = fresh.payload if fresh is not None else self._open(event)
        try:
            program, row = await self._program(event, fresh, payload)
        except NotFound as error:
            await self._drop(event, str(error))
            return None, None
        # What has begun goes on: its own failures are no reason to stop in the middle.
        is_new = not (is_resumed and await self._has_begun(event))
        if is_new and row is not None and not await self._may_begin(event, program, row):
            await self._hold(event, program)
            return None, None
        resumption, lane = None, event.lane
        if event.kind == "retry":
            kept = await self._kept(event)
            if kept is None:
                await self._drop(event, "The incomplete execution was resolved before.")
                return None, None
            resumption, lane = kept["resumption"], kept.get("lane")
        states: dict[str, dict[str, Any]] = {}
        counters: dict[str, int] = {}
        if program.keeps_state:
            states = await self._states(team_id, scenario_id)
            counters = {
                name.removeprefix("counter/"): state["i"]
                for name, state in states.items()
                if name.startswith("counter/")
            }
        start = Start(
            at=self.services.clock.now(),
            trigger=_trigger(program, payload),
            bundles=payload.get("bundles"),
            cycles=payload.get("cycles"),
            inputs=payload.get("inputs") or {},
            counters=counters,
            resumption=resumption,
            transfer_bytes=payload.get("transfer", 0),
        )
        job = Job(
            event=event,
            program=program,
            execution_id=event.execution_id or new_id(),
            start=start,
            limits=self.limits,
            accepted=None if fresh is None else fresh.accepted,
            reply=None if fresh is None else fresh.reply,
            states=states,
            is_resumed=is_resumed,
            kind=event.kind,
            origin_id=event.origin_id,
            lane=lane,
        )
        return job, row

    async def _program(
        self, event: EventRow, fresh: Fresh | None, payload: dict[str, Any]
    ) -> tuple[Program, ScenarioRow | None]:
        team_id, scenario_id = event.team_id, event.scenario_id or ""
        program = fresh.program if fresh is not None else None
        if program is not None and program.version_id is None:
            return program, None
        row = await self.programs.row(team_id, scenario_id)
        if program is not None:
            return program, row
        version = payload.get("version")
        if version:
            # An event runs on the version it was accepted for, whatever was published since.
            return await self.programs.version(team_id, version), row
        return await self.programs.published(team_id, scenario_id), row

    async def _may_begin(self, event: EventRow, program: Program, row: ScenarioRow) -> bool:
        if event.kind in ("manual", "retry", "call"):
            return True
        if not row.is_active:
            return False
        settings = program.scenario.settings
        if settings.sequential:
            return not await self.incomplete.open_ids(event.team_id, row.id)
        if settings.order_by and event.lane is not None:
            return event.lane not in await self._blocked_lanes(event.team_id, row.id)
        return True

    async def _has_begun(self, event: EventRow) -> bool:
        return bool(await self.services.store.segments(event.team_id, event.execution_id or ""))

    async def _hold(self, event: EventRow, program: Program) -> None:
        """Put back what may not begin; it is looked at again when something has changed."""
        until = Requeue(due_at_ms=event.due_at_ms, state="held", execution_id=event.execution_id)
        await self.services.store.park(Append(event_id=event.id, epoch=event.epoch), until)
        # What it waited for may have come about while it was put back.
        row = await self.programs.row(event.team_id, event.scenario_id or "")
        if await self._may_begin(event, program, row):
            await self.services.store.release(row.team_id, row.id)
            self.queue.wake()

    async def _blocked_lanes(self, team_id: str, scenario_id: str) -> set[str]:
        """Lanes in which a failed bundle waits: only its own key waits for it."""
        blocked = self._lanes_of_kept.get(scenario_id, {})
        lanes: dict[str, str] = {}
        for id in await self.incomplete.open_ids(team_id, scenario_id):
            lane = blocked.get(id)
            if lane is None:
                row = await self.incomplete.find(team_id, id)
                lane = None if row is None else self.open_incomplete(row).get("lane")
            lanes[id] = lane or ""
        self._lanes_of_kept[scenario_id] = lanes
        return set(lanes.values())

    async def _states(self, team_id: str, scenario_id: str) -> dict[str, dict[str, Any]]:
        sealer = self.services.vault.sealer(team_id)
        sealed = await self.services.store.state(team_id, scenario_id)
        return {
            module: decode(sealer.open(body, state_context(scenario_id, module)))
            for module, body in sealed.items()
            if not module.startswith(SECRET)
        }

    async def _kept(self, event: EventRow) -> dict[str, Any] | None:
        row = await self.incomplete.find(event.team_id, event.origin_id or "")
        if row is None or row.state not in ("waiting", "resuming"):
            return None
        kept = self.open_incomplete(row)
        kept["resumption"]["attempts"] = row.attempts
        return kept

    def open_incomplete(self, row: IncompleteRow) -> dict[str, Any]:
        """What an incomplete execution holds.

        ``resumption`` (see `engine.Start`), the ``kind`` of the event that began it, its ``lane``.
        """
        sealer = self.services.vault.sealer(row.team_id)
        return decode(sealer.open(row.body, incomplete_context(row.id)))

    def _open(self, event: EventRow) -> dict[str, Any]:
        sealer = self.services.vault.sealer(event.team_id)
        return decode(sealer.open(event.payload, event_context(event.id)))

    async def _drop(self, event: EventRow, reason: str) -> None:
        """An event that nothing can be done with leaves the inbox; the log says why."""
        _LOG.warning("an event was dropped: %s", reason, extra={"event_id": event.id})
        await self.services.store.finish(Finish(event_id=event.id, epoch=event.epoch))

    # -- ending ----------------------------------------------------------------------------------

    async def _end(
        self, job: Job, driver: Driver, outcome: Outcome, row: ScenarioRow | None
    ) -> None:
        """Write the end of an execution and everything that follows from it, in one commit."""
        services, append = self.services, outcome.append
        if outcome.is_parked and outcome.parked_until is not None:
            due = milliseconds(outcome.parked_until)
            until = Requeue(due_at_ms=due, execution_id=job.execution_id)
            await services.store.park(append, until)
            self.queue.wake()
            return
        end = Finish(
            event_id=append.event_id,
            epoch=append.epoch,
            is_in_lane=job.event.lane is not None,
            execution=append.execution,
            segments=append.segments,
            writes=append.writes,
            states=append.states,
            files=append.files,
            incomplete=append.incomplete,
        )
        finish = outcome.finish
        if row is not None:
            end.scenario = self._scenario_change(job, outcome, row)
        if job.kind == "retry":
            self._conclude_retry(job, outcome, end)
        elif finish.status == "error":
            self._save_event(job, outcome, end, row)
        if row is None:
            # A scenario that was never saved has nowhere to be resumed from.
            end.incomplete, end.states = [], []
        for kept in end.incomplete:
            self._plan_retry(kept, end)
        future = services.store.finish(end)
        if end.writes:
            watch_writes(services, end.writes, future)
        await driver.ledger.written()
        await future
        driver.ledger.send_responses()
        if end.events:
            self.queue.wake()
        if end.scenario is not None and end.scenario.is_active is False and row is not None:
            await services.store.hold(row.team_id, row.id)
        elif row is not None and any(change.state == "resolved" for change in end.changes):
            settings = job.program.scenario.settings
            if settings.sequential or settings.order_by:
                await services.store.release(row.team_id, row.id)
                self.queue.wake()
        if services.live.is_watched(job.event.team_id):
            self._publish(
                job,
                {
                    "type": "finished",
                    "status": finish.status,
                    "operations": finish.operations,
                    "error": None if finish.failure is None else finish.failure.message,
                },
            )

    def _scenario_change(
        self, job: Job, outcome: Outcome, row: ScenarioRow
    ) -> ScenarioChange | None:
        """Count consecutive errors; pause the scenario when there are too many."""
        finish, settings = outcome.finish, job.program.scenario.settings
        change = ScenarioChange(team_id=row.team_id, id=row.id)
        if not finish.is_counted and not finish.switches_off:
            if row.consecutive_errors and finish.status == "success":
                row.consecutive_errors = change.consecutive_errors = 0
                return change
            return None
        row.consecutive_errors = change.consecutive_errors = row.consecutive_errors + 1
        reason = _reason_to_pause(job, outcome, row, settings)
        if reason is not None and row.is_active:
            row.is_active = change.is_active = False
            row.paused_reason = change.paused_reason = reason
        return change

    def _save_event(self, job: Job, outcome: Outcome, end: Finish, row: ScenarioRow | None) -> None:
        """A failed event that carries data is not lost: it goes back, or is kept as incomplete."""
        start, failure = job.start, outcome.finish.failure
        if failure is None or start.bundles is None or job.kind not in ("webhook", "mail"):
            return
        settings = job.program.scenario.settings
        now_ms = milliseconds(self.services.clock.now())
        is_paused = row is not None and not row.is_active
        if settings.keep_incomplete != "all":
            # As Make does: rolled back, the event goes back into the queue.
            if is_paused:
                end.requeue = Requeue(due_at_ms=now_ms, state="held")
                return
            attempts = job.event.attempts
            if default_of(failure.type).is_retried and attempts <= len(RERUN_SECONDS):
                wait = max(RERUN_SECONDS[attempts - 1], failure.retry_after_seconds or 0)
                end.requeue = Requeue(due_at_ms=now_ms + round(wait * 1000))
                return
        if any(kept.error_module == failure.module for kept in end.incomplete):
            return
        trigger = start.trigger or next(iter(job.program.plan.triggers), "")
        resumption = {
            "node": trigger,
            "key": "",
            "bundles": {},
            "variables": {},
            "inputs": start.inputs,
            "output": start.bundles,
        }
        kept = IncompleteRow(
            team_id=job.event.team_id,
            id=f"{job.execution_id}-0",
            scenario_id=job.program.scenario_id,
            version_id=job.program.version_id,
            execution_id=job.execution_id,
            created_at_ms=now_ms,
            error_type=failure.type,
            error_message=failure.message,
            error_module=failure.module or trigger,
            body=b"",
            size_bytes=0,
        )
        plain = encode({"resumption": resumption, "kind": job.kind, "lane": job.lane})
        kept.size_bytes = len(plain)
        sealer = self.services.vault.sealer(job.event.team_id)
        kept.body = sealer.seal(plain, incomplete_context(kept.id))
        end.incomplete = [*end.incomplete, kept]

    def _plan_retry(self, kept: IncompleteRow, end: Finish) -> None:
        """Give a kept failure its expiry and, if it completes itself, its next try."""
        kept.expires_at_ms = kept.created_at_ms + INCOMPLETE_DAYS * 86_400_000
        wait = _retry_wait(kept.max_attempts, kept.attempts, kept.interval_seconds)
        if wait is not None:
            # Not before the time that the service asked for.
            due_at_ms = kept.created_at_ms + wait * 1000
            kept.retry_at_ms = max(due_at_ms, kept.retry_at_ms or 0)
            end.events = [*end.events, self._retry_event(kept, due_at_ms=kept.retry_at_ms)]

    def _conclude_retry(self, job: Job, outcome: Outcome, end: Finish) -> None:
        """A retry either resolves its incomplete execution or leaves it with the new failure."""
        origin = job.origin_id or ""
        change = IncompleteChange(team_id=job.event.team_id, id=origin, state="resolved")
        end.changes = [change]
        finish = outcome.finish
        if finish.status != "error" and not end.incomplete:
            return
        again = end.incomplete[0] if end.incomplete else None
        failure = finish.failure
        if again is None and failure is None:
            return
        change.state = "waiting"
        attempts = job.start.resumption.get("attempts", 0) + 1 if job.start.resumption else 1
        change.attempts = attempts
        if failure is not None:
            change.error_type, change.error_message = failure.type, failure.message
            change.error_module = failure.module or None
        if again is not None:
            end.incomplete = end.incomplete[1:]
            body = self.open_incomplete(again)
            body["resumption"]["attempts"] = attempts
            plain = encode(body)
            sealer = self.services.vault.sealer(job.event.team_id)
            change.body = sealer.seal(plain, incomplete_context(origin))
            wait = _retry_wait(again.max_attempts, attempts, again.interval_seconds)
            if wait is not None:
                now_ms = milliseconds(self.services.clock.now())
                change.retry_at_ms = max(now_ms + wait * 1000, again.retry_at_ms or 0)
                again.id = origin
                end.events = [*end.events, self._retry_event(again, due_at_ms=change.retry_at_ms)]

    def _retry_event(self, row: IncompleteRow, *, due_at_ms: int | None = None) -> NewEvent:
        now_ms = milliseconds(self.services.clock.now())
        id = new_id()
        sealer = self.services.vault.sealer(row.team_id)
        payload = {"version": row.version_id}
        return NewEvent(
            id=id,
            team_id=row.team_id,
            scenario_id=row.scenario_id,
            kind="retry",
            payload=sealer.seal(encode(payload), event_context(id)),
            received_at_ms=now_ms,
            due_at_ms=now_ms if due_at_ms is None else max(now_ms, due_at_ms),
            lane=_retry_lane(row),
            origin_id=row.id,
        )

    def _publish(self, job: Job, event: dict[str, Any]) -> None:
        event["execution_id"] = job.execution_id
        event["scenario_id"] = job.program.scenario_id
        self.services.live.publish(job.event.team_id, event)


def _lane(program: Program, payload: Mapping[str, Any]) -> str | None:
    """The lane of an event: one for the scenario, one for each ordering key, or none.

    A lane is written in the clear, so of a key only a digest is in it. What gives no key is in
    order with what gives none either.
    """
    settings = program.scenario.settings
    if settings.sequential:
        return f"scenario|{program.scenario_id}"
    bundles = payload.get("bundles")
    if not settings.order_by or not bundles:
        return None
    first = program.plan.first
    trigger = _trigger(program, payload) or (first.id if first is not None else "")
    scope = Scope(bundles={trigger: bundles[0]}, zone=program.plan.zone)
    try:
        key = text_of(compile_template(settings.order_by).evaluate(scope), scope)
    except ModuleError:
        key = ""
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"key|{program.scenario_id}|{digest}"


def _retry_lane(row: IncompleteRow) -> str:
    """Two tries of one failure never run at the same time."""
    return f"incomplete|{row.id}"


def _trigger(program: Program, payload: Mapping[str, Any]) -> str | None:
    """The trigger that an event is for; of several, the one that listens to the webhook."""
    given, webhook = payload.get("trigger"), payload.get("webhook")
    triggers = program.plan.triggers
    if given is not None or not webhook or len(triggers) < 2:
        return given
    for id, node in triggers.items():
        if node.module.resources.get("webhook") in webhook:
            return id
    return None


def event_context(event_id: str) -> bytes:
    """What the seal of an event's payload is bound to."""
    return f"event|{event_id}".encode()


def _reason_to_pause(
    job: Job, outcome: Outcome, row: ScenarioRow, settings: Settings
) -> str | None:
    finish = outcome.finish
    why = finish.failure.message if finish.failure else ""
    if finish.switches_off:
        return f"Switched off: {why}"
    if settings.pause_at_first_error and job.kind in ("webhook", "mail"):
        return f"Switched off at the first error: {why}"
    if row.consecutive_errors >= settings.max_errors:
        return f"Paused after {row.consecutive_errors} errors in a row. The last one: {why}"
    return None


def _retry_wait(max_attempts: int, attempts: int, interval_seconds: int) -> int | None:
    """Seconds until the next try by itself; None when there is none."""
    if attempts >= max_attempts:
        return None
    if interval_seconds:
        return interval_seconds
    return RETRY_SECONDS[min(attempts, len(RETRY_SECONDS) - 1)]


def _is_awaited(future: asyncio.Future[Any] | None) -> bool:
    return future is not None and not future.done()


def _resolve(future: asyncio.Future[Any] | None, value: Any) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _refuse(future: asyncio.Future[Any] | None, error: BaseException) -> None:
    """Tell whoever waits that the execution broke down; the log has the rest."""
    if future is not None and not future.done():
        if not isinstance(error, MillraceError):
            error = UnexpectedError("the execution broke down; the server's log says how")
        future.set_exception(error)
        future.exception()

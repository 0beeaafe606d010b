"""Brings an execution to where its journal ends: the records are told to a new interpreter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from millrace.engine import thaw
from millrace.engine.bundle import Binary, binaries_in
from millrace.engine.events import ModuleAnswered
from millrace.runtime.journal import Record, encode, event_of, read_checkpoint, read_records
from millrace.runtime.ledger import Ledger


async def resume(ledger: Ledger, *, read_bytes: Callable[[Binary], bytes]) -> bool:
    """Thaw the last checkpoint and replay what came after it; False when nothing was recorded.

    Afterwards ``ledger.run`` is the interpreter to go on with.
    """
    job, store = ledger.job, ledger.services.store
    team_id, execution_id, program = job.event.team_id, job.execution_id, job.program
    checkpoint = await store.checkpoint(team_id, execution_id)
    after = -1 if checkpoint is None else checkpoint.number
    segments = await store.segments(team_id, execution_id, after=after)
    if checkpoint is None and not segments:
        return False
    ledger.is_written = True
    last = segments[-1].number if segments else after
    if ledger.key is not None:
        ledger.key.restore(await store.state(team_id, program.scenario_id))
    ledger.journal, sealer = ledger.new_journal(count(last + 1)), ledger.own_sealer()
    if checkpoint is not None:
        frozen = read_checkpoint(checkpoint, sealer)
        run = thaw(
            program.plan,
            frozen["run"],
            execution_id=execution_id,
            limits=job.limits,
            names=program.names,
            read_bytes=read_bytes,
        )
        ledger.thawed(run, frozen)
    kind = "records" if ledger.key is None else "secret"
    for segment in segments:
        if segment.kind == kind:
            for record in read_records(segment, sealer):
                _replay(ledger, record)
    return True


def _replay(ledger: Ledger, record: Record) -> None:
    ledger.now = record.at
    if record.kind == "b":
        start = ledger.job.start
        start.at = record.at
        start.cycles, start.counters = record.output["cycles"], record.output["counters"]
        ledger.run.begin(start)
        return
    if record.kind == "i":
        ledger.intents.add(record.call)
        return
    event = event_of(record)
    if event is None:
        return
    if isinstance(event, ModuleAnswered):
        event.files = tuple((binary.id, binary.size_bytes) for binary in binaries_in(record.output))
        _restore_uncommitted(ledger, record)
    elif record.kind == "c":
        # Written in the same transaction as this record: true already.
        ledger.transaction.take()
        ledger.committed_states = {m: encode(state) for m, state in ledger.states.items()}
    elif record.kind == "r":
        ledger.forget_cycle()
    ledger.run.tell(event)


def _restore_uncommitted(ledger: Ledger, record: Record) -> None:
    extra = record.extra or {}
    if "state" in extra:
        ledger.states[record.module] = extra["state"]
    ledger.restore_writes(extra.get("writes", ()))

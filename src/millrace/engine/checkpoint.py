"""Freeze an execution into plain data and thaw it, here or elsewhere.

A checkpoint is made of dicts, lists and the values of bundles; it says its format. It refers to
nodes by index, so it belongs to one version of one scenario.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from millrace.engine.events import Failure
from millrace.engine.frames import ForEachFrame, Gathering, thaw_frame
from millrace.engine.interpreter import Interpreter, Start
from millrace.engine.limits import Limits
from millrace.engine.pending import Pending
from millrace.engine.plan import Plan
from millrace.engine.strand import Strand
from millrace.expressions import Scope
from millrace.expressions.values import Binary

FORMAT = 1

# Attributes of the interpreter that are plain data already.
_PLAIN = (
    "at", "by_module", "calls", "counters", "cycle", "cycles", "found_nothing", "idle_seconds",
    "is_counted", "is_over", "is_stopping", "links", "looks", "operations", "outputs",
    "started_at", "status", "strand_ids", "switches_off", "transfer_bytes", "variables",
)  # fmt: skip


def freeze(run: Interpreter) -> dict[str, Any]:
    """All an execution needs to go on elsewhere. Values are shared, not copied: encode it now."""
    return {
        "format": FORMAT,
        "nodes": len(run.plan.nodes),
        "start": msgspec.structs.asdict(run.start),
        "plain": {name: getattr(run, name) for name in _PLAIN},
        "failure": None if run.failure is None else list(msgspec.structs.astuple(run.failure)),
        "files": sorted(run.counted_files),
        "input": run.names.get("var", {}),
        "strands": [strand.freeze() for strand in run.strands.values()],
        "pending": {str(call): p.freeze() for call, p in run.pending.items()},
    }


def thaw(
    plan: Plan,
    frozen: Mapping[str, Any],
    *,
    execution_id: str,
    limits: Limits,
    names: Mapping[str, Any] | None = None,
    read_bytes: Callable[[Binary], bytes] | None = None,
) -> Interpreter:
    """The interpreter that was frozen; ``waiting()`` says what it waits for.

    Raises:
        ValueError: the checkpoint is of another format or of another scenario version.
    """
    if frozen["format"] != FORMAT:
        raise ValueError(f"checkpoint format {frozen['format']} is not {FORMAT}")
    if frozen["nodes"] != len(plan.nodes):
        raise ValueError("the checkpoint belongs to another version of the scenario")
    run = Interpreter(
        plan, execution_id=execution_id, limits=limits, names=names, read_bytes=read_bytes
    )
    for name in _PLAIN:
        setattr(run, name, frozen["plain"][name])
    run.set_deadline()
    run.start = Start(**frozen["start"])
    run.failure = Failure(*frozen["failure"]) if frozen["failure"] else None
    run.counted_files = set(frozen["files"])
    run.names["var"] = frozen["input"]
    for plain in frozen["strands"]:
        _thaw_strand(run, plain)
    run.pending = {int(call): Pending.thaw(p) for call, p in frozen["pending"].items()}
    return run


def _thaw_strand(run: Interpreter, plain: Mapping[str, Any]) -> None:
    nodes = run.plan.nodes
    scope = Scope(
        bundles=plain["bundles"],
        names=run.names,
        now=run.started_at,
        zone=run.plan.zone,
        read_bytes=run.read_bytes,
    )
    # Parents are older than their children, so they have been thawed before.
    parent = run.strands.get(plain["parent"]) if plain["parent"] is not None else None
    loop = parent.stack[-1] if parent is not None and parent.stack else None
    strand = Strand(
        id=plain["id"],
        scope=scope,
        parent=parent,
        for_each=loop if isinstance(loop, ForEachFrame) else None,
        item=plain["item"],
    )
    strand.stack.extend(thaw_frame(frame, nodes) for frame in plain["stack"])
    strand.gathering = Gathering.thaw(plain["gathered"])
    strand.adopted = [nodes[index] for index in plain["adopted"]]
    run.strands[strand.id] = strand

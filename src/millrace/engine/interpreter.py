"""The interpreter: told events, it answers commands. It does no I/O and knows no time of its own.

Theory of operation
-------------------
An execution is a walk through the nodes of a plan. A *strand* (one per item of a running for-each,
else one) holds a stack of frames, the loops it is inside of, and the bundles that can be read.
``_walk`` enters node after node; ``node.enter`` answers the next node, None (this bundle's way ends:
unwind the stack) or PARKED (wait for an event).

Rules that everything here keeps:

1. Every asking gets the next call number, and what is asked depends only on what was told. Telling
   the same events again gives the same commands with the same numbers; that is how a journal is
   replayed (``tell`` the recorded events; what is unanswered at the end is what remains to be done).
2. Between two events the whole state is in strands, pending calls and counters; ``freeze`` may be
   called at any such moment.
3. A bundle is never changed once it is in a scope.
4. Nothing is said twice: an event for a call that is not pending is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from millrace.engine.commands import (
    CallModule,
    Command,
    Commit,
    Finish,
    KeepIncomplete,
    Note,
    RetryPolicy,
    Rollback,
    WaitUntil,
    Yield,
)
from millrace.engine.defaults import Default, default_of
from millrace.engine.events import (
    Cancelled,
    CommitFailed,
    Committed,
    Continued,
    Event,
    Failure,
    Kept,
    ModuleAnswered,
    ModuleFailed,
    RolledBack,
    TimeReached,
)
from millrace.engine.frames import (
    FlushFrame,
    ForEachFrame,
    HandlerFrame,
    RouterFrame,
    SourceFrame,
    forget,
    item_bundle,
)
from millrace.engine.limits import Limits
from millrace.engine.node import PARKED, Node, Way
from millrace.engine.plan import Plan
from millrace.engine.strand import Strand
from millrace.errors import ModuleError
from millrace.expressions import Scope
from millrace.expressions.values import Binary

NOTES_BEFORE_YIELD = 256
"""Operations the engine does by itself before it lets the driver write them down."""

STEPS_BEFORE_YIELD = 5_000
"""Bundles that may be filtered away in one go before others get a turn."""

NO_LIMITS = Limits()


class Start(msgspec.Struct, kw_only=True):
    """How an execution begins."""

    at: datetime
    trigger: str | None = None
    """The module that fired; None: the first one."""

    bundles: list[dict[str, Any]] | None = None
    """What an instant trigger received. None: the first module is called."""

    cycles: int | None = None
    """Instead of the scenario's setting; "run once" says 1."""

    inputs: dict[str, Any] = {}
    counters: dict[str, int] = {}
    """Counters that outlive executions, by module (see Commit.counters)."""

    resumption: dict[str, Any] | None = None
    """From KeepIncomplete: go on at a failed module instead of at the beginning."""

    transfer_bytes: int = 0
    """Size of `bundles`, when it counts."""


class Pending(msgspec.Struct):
    """A call that has not been answered."""

    strand: int
    node: int
    kind: str
    """module | wait | yield | commit | rollback | keep."""

    parameters: dict[str, Any] = {}
    bundles: list[dict[str, Any]] = []
    key: str = ""
    page: int = 0
    attempt: int = 1
    until: datetime | None = None
    then: str = ""
    """What follows the answer, where the kind alone does not say it."""

    failure: Failure | None = None
    resumption: dict[str, Any] | None = None
    retry: RetryPolicy | None = None
    warnings: list[str] | None = None


class Interpreter:
    """One execution of a plan.

    Args:
        plan: The compiled scenario.
        execution_id: Seeds `random` and `uuid`, and begins every idempotency key.
        limits: What the execution may use.
        names: What expressions can read besides bundles: ``scenarioName``, ``var`` …
        read_bytes: Gives the content of a file to text functions.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        execution_id: str,
        limits: Limits = NO_LIMITS,
        names: Mapping[str, Any] | None = None,
        read_bytes: Callable[[Binary], bytes] | None = None,
    ) -> None:
        self.plan = plan
        self.execution_id = execution_id
        self.limits = limits
        self.settings = plan.scenario.settings
        self.names: dict[str, Any] = {"executionId": execution_id, **(names or {})}
        self.read_bytes = read_bytes
        self.pending: dict[int, Pending] = {}
        self.strands: dict[int, Strand] = {}
        self.calls = 0
        self.strand_ids = 0
        self.started_at: datetime
        self.start: Start
        self.cycle = 0
        self.cycles = 1
        self.operations = 0
        self.transfer_bytes = 0
        self.status = "success"
        self.failure: Failure | None = None
        self.is_counted = False
        self.switches_off = False
        self.is_over = False
        self.is_stopping = False
        """An end has been decided; answers that still come are of no interest."""
        self.variables: dict[str, dict[str, Any]] = {"roundtrip": {}, "execution": {}}
        self.counters: dict[str, dict[str, int]] = {"run": {}, "execution": {}, "scenario": {}}
        self.by_module: list[int] = [0] * len(plan.nodes)
        self.links: dict[str, list[int]] = {}
        self.found_nothing = False
        """The polling trigger's last answer was empty: further cycles would be, too."""
        self.counted_files: set[str] = set()
        self._out: list[Command] = []
        self._at: datetime
        self._outputs: dict[str, Any] | None = None

    # -- told from outside ---------------------------------------------------------------------

    def begin(self, start: Start) -> list[Command]:
        """Start; answers the first commands."""
        self._out = []
        self._at = self.started_at = start.at
        self.start = start
        self.cycles = max(1, start.cycles if start.cycles is not None else self.settings.cycles)
        self.transfer_bytes = start.transfer_bytes
        self.counters["scenario"] = dict(start.counters)
        variables = self.names.setdefault("var", {})
        self.names["var"] = {**variables, "input": start.inputs}
        self._begin_cycle()
        return self._out

    def tell(self, event: Event) -> list[Command]:
        """Take an event; answers what is to be done next.

        Raises:
            ValueError: nothing was asked under that number; the driver or the journal is wrong.
        """
        out: list[Command] = []
        self._out = out
        self._at = event.at
        if event.__class__ is Cancelled:
            self._interrupt(event.message)  # type: ignore[union-attr]
            return out
        pending = self.pending.pop(event.call, None)  # type: ignore[union-attr]
        if pending is None:
            if self.is_over or self.is_stopping:
                return out
            raise ValueError(f"no call {event.call} is waiting")  # type: ignore[union-attr]
        strand = self.strands.get(pending.strand)
        if event.__class__ is ModuleAnswered:
            self._answered(event, pending, strand)  # type: ignore[arg-type]
        else:
            _ANSWERS[event.__class__](self, event, pending, strand)
        return out

    def waiting(self) -> list[Command]:
        """Everything asked and not answered, as commands: what a thawed execution must do first."""
        commands: list[Command] = []
        for call, p in sorted(self.pending.items()):
            node = self.plan.nodes[p.node] if p.node >= 0 else None
            module = node.id if node else ""
            if p.kind == "module":
                commands.append(
                    CallModule(
                        call,
                        p.node,
                        module,
                        p.parameters,
                        p.bundles,
                        p.key,
                        p.page,
                        p.attempt,
                        p.warnings,
                    )
                )
            elif p.kind == "wait":
                assert p.until is not None
                commands.append(WaitUntil(call, module, p.until))
            elif p.kind == "yield":
                commands.append(Yield(call))
            elif p.kind == "commit":
                commands.append(Commit(call, self.cycle, self.counters["scenario"]))
            elif p.kind == "rollback":
                commands.append(Rollback(call, self.cycle))
            else:
                assert p.failure is not None
                commands.append(
                    KeepIncomplete(call, module, p.failure, p.resumption or {}, p.retry)
                )
        return commands

    # -- cycles --------------------------------------------------------------------------------

    def _begin_cycle(self) -> None:
        self.cycle += 1
        self.variables["roundtrip"] = {}
        self.counters["run"] = {}
        if self.settings.fresh_variables:
            self.variables["execution"] = {}
        scope = Scope(
            bundles={},
            names=self.names,
            now=self._at,
            zone=self.plan.zone,
            read_bytes=self.read_bytes,
        )
        strand = self._new_strand(scope)
        start = self.start
        if start.resumption is not None:
            self._resume(strand, start.resumption)
            return
        node = self.plan.triggers.get(start.trigger) if start.trigger else self.plan.first
        if node is None:
            self._walk(strand, None)
            return
        for other in self.plan.triggers:
            if other != node.id:
                scope.bundles[other] = {}
        if start.bundles is not None and node.is_trigger:
            call = self.begin_operation(strand)
            self.note(strand, node, call, None, start.bundles)
            self._walk(strand, self.deliver(strand, node, start.bundles))
        else:
            self._walk(strand, node)

    def _end_cycle(self) -> None:
        if self.plan.outputs:
            scope = self.strands[min(self.strands)].scope
            self._outputs = {name: evaluate(scope) for name, evaluate in self.plan.outputs.items()}
        self._commit("cycle")

    def _commit(self, then: str) -> None:
        call = self.next_call()
        self.pending[call] = Pending(strand=-1, node=-1, kind="commit", then=then)
        self._out.append(Commit(call, self.cycle, self.counters["scenario"]))

    def _committed(self, event: Committed, pending: Pending, strand: Strand | None) -> None:
        first = self.plan.first
        again = (
            pending.then == "cycle"
            and self.cycle < self.cycles
            and self.start.bundles is None
            and self.start.resumption is None
            and not (first is not None and first.is_trigger and self.found_nothing)
        )
        self.strands.clear()
        if again:
            self._begin_cycle()
        else:
            self._finish()

    def _finish(self) -> None:
        self.is_over = True
        self.pending.clear()
        nodes = self.plan.nodes
        by_module: dict[str, int] = {}
        for index, count in enumerate(self.by_module):
            if count:
                by_module[nodes[index].id] = by_module.get(nodes[index].id, 0) + count
        self._out.append(
            Finish(
                self.status,
                self.failure,
                self.is_counted,
                self.switches_off,
                self.operations,
                self.transfer_bytes,
                self.cycle,
                by_module,
                self.links,
                self._outputs,
            )
        )

    # -- walking -------------------------------------------------------------------------------

    def _walk(self, strand: Strand, node: Node | None) -> None:
        """Enter nodes and unwind frames until the strand waits or is done."""
        stack, out, steps = strand.stack, self._out, 0
        while node is not PARKED:
            if node is None:
                if not stack:
                    if strand.adopted:
                        self._flush_adopted(strand)
                        continue
                    self._strand_done(strand)
                    return
                node = stack[-1].advance(self, strand)
                continue
            steps += 1
            if len(out) >= NOTES_BEFORE_YIELD or steps > STEPS_BEFORE_YIELD:
                call = self.next_call()
                self.pending[call] = Pending(strand=strand.id, node=node.index, kind="yield")
                out.append(Yield(call))
                return
            if node.condition is not None:
                where = self._gate(strand, node)
                if where is not node:
                    node = where
                    continue
            node = node.enter(self, strand, node)

    def _gate(self, strand: Strand, node: Node) -> Node | None:
        """The filter on the link into a node: the node when it passes, None when it stops here.

        A filter that cannot be decided is a failure of the module behind it, not a "no".
        """
        counts = self.links.get(node.id)
        if counts is None:
            counts = self.links[node.id] = [0, 0]
        self.set_entropy(strand)
        try:
            passed = node.condition is None or node.condition(strand.scope)
        except ModuleError as error:
            call = self.begin_operation(strand)
            return self.fail(strand, node, Failure.of(error), call=call)
        counts[0 if passed else 1] += 1
        return node if passed else None

    def passes(self, strand: Strand, node: Node, way: Way) -> bool:
        """Whether a bundle may go a way of a router or an if.

        Raises:
            ModuleError: the condition cannot be decided.
        """
        key = f"{node.id}/{way.index}"
        counts = self.links.get(key)
        if counts is None:
            counts = self.links[key] = [0, 0]
        self.set_entropy(strand)
        passed = way.condition is None or way.condition(strand.scope)
        counts[0 if passed else 1] += 1
        return passed

    def _flush_adopted(self, strand: Strand) -> None:
        adopted, strand.adopted = strand.adopted, []
        gathered = strand.gathering.by_node
        queue = [(node, list(gathered.pop(node.index, {"": []}).items())) for node in adopted]
        strand.stack.append(FlushFrame(queue))

    def _strand_done(self, strand: Strand) -> None:
        loop = strand.for_each
        if loop is None or strand.parent is None:
            if not self.is_over:
                self._end_cycle()
            return
        self.strands.pop(strand.id, None)
        loop.running -= 1
        # The parent is walked on only when it waits for us, not while it is spawning.
        if strand.parent.stack and strand.parent.stack[-1] is loop and self._spawning is not loop:
            self._walk(strand.parent, None)

    _spawning: ForEachFrame | None = None

    def spawn(self, parent: Strand, loop: ForEachFrame, position: int) -> None:
        """Begin the way of one item of a for-each."""
        bundles = dict(parent.scope.bundles)
        bundles[loop.node.id] = item_bundle(loop.items, position)
        scope = Scope(
            bundles=bundles,
            names=self.names,
            now=self._at,
            zone=self.plan.zone,
            read_bytes=self.read_bytes,
        )
        child = self._new_strand(scope, parent=parent, for_each=loop, item=position)
        outer, self._spawning = self._spawning, loop
        self._walk(child, loop.node.first)
        self._spawning = outer

    def end_for_each(self, strand: Strand, node: Node, bundle: dict[str, Any]) -> Node | None:
        """All items of a for-each are done."""
        return self.deliver(strand, node, [bundle])

    def _new_strand(self, scope: Scope, **of: Any) -> Strand:
        strand = Strand(id=self.strand_ids, scope=scope, **of)
        self.strands[self.strand_ids] = strand
        self.strand_ids += 1
        return strand

    # -- asking (called by nodes and frames) -----------------------------------------------------

    def next_call(self) -> int:
        """The next call number."""
        self.calls += 1
        return self.calls

    def begin_operation(self, strand: Strand, *, is_counted: bool = True) -> int:
        """Number a new operation and let its expressions see its own time and chance."""
        call = self.calls = self.calls + 1
        scope = strand.scope
        scope.begin(now=self._at, entropy=f"{self.execution_id}:{call}", warnings=[])
        return call

    def set_entropy(self, strand: Strand) -> None:
        """Prepare for expressions that belong to no operation (filters, merges, gathering)."""
        strand.scope.begin(
            now=self._at, entropy=f"{self.execution_id}:{self.calls}.", warnings=None
        )

    def note(
        self, strand: Strand, node: Node, call: int, given: Any, made: list[dict[str, Any]] | None
    ) -> None:
        """Record an operation that the engine did itself."""
        self.operations += 1
        self.by_module[node.index] += 1
        self._out.append(Note(call, node.id, given, made))

    def ask(
        self, strand: Strand, node: Node, parameters: dict[str, Any], *, call: int
    ) -> Node | None:
        """Ask for an app's module to be called with one bundle's parameters."""
        limit = self.limits.operations
        if limit is not None and self.operations >= limit:
            return self._stop(
                Failure(
                    "OperationsLimitExceededError",
                    f"The execution used up its {limit} operations.",
                )
            )
        self.operations += 1
        self.by_module[node.index] += 1
        key = f"{self.execution_id}.{call}"
        warnings = strand.scope.warnings or None
        self.pending[call] = Pending(
            strand.id, node.index, "module", parameters, [], key, warnings=warnings
        )
        self._out.append(CallModule(call, node.index, node.id, parameters, [], key, 0, 1, warnings))
        return PARKED

    def ask_page(self, strand: Strand, frame: SourceFrame) -> Node | None:
        """Ask for the next page of a stream; it belongs to the same operation."""
        call = self.next_call()
        parameters, bundles, key = frame.request or [{}, [], ""]
        page = frame.delivered + len(frame.items)
        node = frame.node
        self.pending[call] = Pending(
            strand.id, node.index, "module", parameters, bundles, key, page
        )
        self._out.append(CallModule(call, node.index, node.id, parameters, bundles, key, page))
        return PARKED

    def aggregate(
        self, strand: Strand, node: Node, bundles: list[dict[str, Any]], *, is_first: bool
    ) -> Node | None:
        """Ask an aggregator to speak for one group. Several groups are one operation."""
        forget(strand, node.hides)
        call = self.begin_operation(strand)
        try:
            parameters = node.static(strand.scope)
        except ModuleError as error:
            return self.fail(strand, node, Failure.of(error), call=call)
        if is_first:
            self.operations += 1
            self.by_module[node.index] += 1
        key = f"{self.execution_id}.{call}"
        self.pending[call] = Pending(strand.id, node.index, "module", parameters, bundles, key)
        self._out.append(CallModule(call, node.index, node.id, parameters, bundles, key))
        return PARKED

    def wait(
        self, strand: Strand, node: Node, call: int, span: timedelta, parameters: dict[str, Any]
    ) -> Node | None:
        """Let time pass, then go on behind the node with an empty bundle."""
        self.note(strand, node, call, parameters, [{}])
        until = self._at + span
        waiting = self.next_call()
        self.pending[waiting] = Pending(strand.id, node.index, "wait", until=until, then="sleep")
        self._out.append(WaitUntil(waiting, node.id, until))
        return PARKED

    def try_again(
        self, strand: Strand, node: Node, span: timedelta, request: list[Any]
    ) -> Node | None:
        """Let time pass, then give the same bundle to a failed module again."""
        call = self.next_call()
        until = self._at + span
        parameters, bundles, key = request
        self.pending[call] = Pending(
            strand.id, node.index, "wait", parameters or {}, bundles or [], key, until=until
        )
        self._out.append(WaitUntil(call, node.id, until))
        return PARKED

    def _ask_again(
        self, strand: Strand, node: Node, request: list[Any], *, attempt: int
    ) -> Node | None:
        """Repeat an operation: the same effect, so the key of its first attempt."""
        _, bundles, key = request
        if node.source is not None:
            where = self.aggregate(strand, node, bundles or [], is_first=True)
        else:
            where = node.enter(self, strand, node)
        pending = self.pending.get(self.calls)
        command = self._out[-1] if self._out else None
        if pending is not None and isinstance(command, CallModule) and command.call == self.calls:
            pending.key = command.key = key or command.key
            pending.attempt = command.attempt = attempt
        return where

    def deliver(
        self,
        strand: Strand,
        node: Node,
        bundles: list[dict[str, Any]],
        *,
        has_more: bool = False,
        request: list[Any] | None = None,
    ) -> Node | None:
        """An operation gave bundles: send each of them onward."""
        if len(bundles) == 1 and not has_more and not node.feeds:
            strand.scope.bundles[node.id] = bundles[0]
            return node.next
        if bundles or has_more or node.feeds:
            strand.stack.append(SourceFrame(node, bundles, has_more=has_more, request=request))
        return None

    # -- variables -----------------------------------------------------------------------------

    def variables_of(self, scope: Any) -> dict[str, Any]:
        """Where set-variable writes: `roundtrip` (one cycle) unless it says `execution`."""
        return self.variables["execution" if scope == "execution" else "roundtrip"]

    def variable(self, name: str) -> Any:
        """A variable's value; None when it was never set."""
        cycle = self.variables["roundtrip"]
        return cycle[name] if name in cycle else self.variables["execution"].get(name)

    def increment(self, module: str, reset: Any) -> int:
        """The next number of a counter."""
        counter = self.counters[reset if reset in self.counters else "run"]
        counter[module] = counter.get(module, 0) + 1
        return counter[module]

    # -- answers -------------------------------------------------------------------------------

    def _answered(self, event: ModuleAnswered, pending: Pending, strand: Strand | None) -> None:
        if strand is None:
            return
        node = self.plan.nodes[pending.node]
        strand.scope.now = event.at
        if event.transfer_bytes or event.files:
            self._count_transfer(event)
        bundles = event.bundles
        if node.is_trigger:
            self.found_nothing = not bundles
        if strand.retries:
            strand.retries.pop(node.index, None)
        top = strand.stack[-1] if strand.stack else None
        if pending.page:
            if isinstance(top, SourceFrame):
                top.next_page(bundles, event.has_more)
            where = None
        elif top.__class__ is FlushFrame and node.source is not None:
            top.collect(bundles)  # type: ignore[union-attr]
            where = None
        elif len(bundles) == 1 and not event.has_more and not node.feeds:
            strand.scope.bundles[node.id] = bundles[0]
            where = node.next
        else:
            request = None
            if event.has_more:
                request = [pending.parameters, pending.bundles, pending.key]
            where = self.deliver(strand, node, bundles, has_more=event.has_more, request=request)
        if self._is_used_up(event.at):
            return
        self._walk(strand, where)

    def _count_transfer(self, event: ModuleAnswered) -> None:
        self.transfer_bytes += event.transfer_bytes
        for content, size in event.files:
            if content not in self.counted_files:
                self.counted_files.add(content)
                self.transfer_bytes += size

    def _is_used_up(self, at: datetime) -> bool:
        limits = self.limits
        if limits.seconds is not None and (at - self.started_at).total_seconds() > limits.seconds:
            self._interrupt(f"The execution ran longer than {limits.seconds:g} seconds.")
            return True
        limit = limits.transfer_bytes
        if limit is not None and self.transfer_bytes > limit:
            self._stop(
                Failure(
                    "DataSizeLimitExceededError",
                    f"The execution moved more than {limit} bytes.",
                )
            )
            return True
        return False

    def _module_failed(self, event: ModuleFailed, pending: Pending, strand: Strand | None) -> None:
        if strand is None:
            return
        node = self.plan.nodes[pending.node]
        if pending.page and strand.stack and isinstance(strand.stack[-1], SourceFrame):
            # The stream broke: what it delivered stays done, the source itself has failed.
            strand.stack.pop()
        request = [pending.parameters, pending.bundles, pending.key]
        where = self.fail(strand, node, event.failure, call=event.call, request=request)
        self._walk(strand, where)

    def _time_reached(self, event: TimeReached, pending: Pending, strand: Strand | None) -> None:
        if strand is None:
            return
        node = self.plan.nodes[pending.node]
        if pending.then == "sleep":
            self._walk(strand, self.deliver(strand, node, [{}]))
            return
        request = [pending.parameters, pending.bundles, pending.key]
        attempt = strand.retries.get(node.index, 0) + 1
        self._walk(strand, self._ask_again(strand, node, request, attempt=attempt))

    def _continued(self, event: Continued, pending: Pending, strand: Strand | None) -> None:
        if strand is None or self._is_used_up(event.at):
            return
        node = self.plan.nodes[pending.node]
        strand.scope.now = event.at
        self._walk(strand, node)

    def _rolled_back(self, event: RolledBack, pending: Pending, strand: Strand | None) -> None:
        self._finish()

    def _commit_failed(self, event: CommitFailed, pending: Pending, strand: Strand | None) -> None:
        self._end_with(event.failure, default_of("InconsistencyError"))
        self._finish()

    def _kept(self, event: Kept, pending: Pending, strand: Strand | None) -> None:
        failure = pending.failure
        assert failure is not None
        if not event.is_kept and not self.settings.drop_when_full:
            self.switches_off = True
            self._stop(
                Failure(
                    "OutOfSpaceError",
                    "There is no room for another incomplete execution. Resolve or delete some.",
                    module=failure.module,
                )
            )
            return
        if pending.then == "stop":
            self._commit("stop")
            return
        if strand is not None:
            self._walk(strand, None)

    # -- failing -------------------------------------------------------------------------------

    def fail(
        self,
        strand: Strand,
        node: Node,
        failure: Failure,
        *,
        call: int,
        request: list[Any] | None = None,
    ) -> Node | None:
        """A module failed: its own error route, that of a router around it, or the default.

        Args:
            strand: Where it happened.
            node: The module that failed.
            failure: Why.
            call: The operation's number.
            request: [parameters, bundles, key] when it had been called; None when it could not be,
                which the driver does not know yet and is noted.
        """
        if not failure.module:
            message = f"{node.label}: {failure.message}"
            failure = msgspec.structs.replace(failure, module=node.id, message=message)
        if request is None:
            self._out.append(Note(call, node.id, None, None, failure))
            request = [None, None, f"{self.execution_id}.{call}"]
        inner = strand.handler()
        if inner is not None and node.module.module == "flow:throw":
            strand.leave_handler()
            return self.fail_by_default(strand, inner.node, failure, request=inner.request)
        if node.has_handler:
            where = self._handle(strand, node, node, failure, request)
            if where is not _UNHANDLED:
                return where
        stack = strand.stack
        for depth in range(len(stack) - 1, -1, -1):
            frame = stack[depth]
            if frame.__class__ is HandlerFrame:
                break
            if isinstance(frame, RouterFrame) and frame.node.has_handler:
                kept = stack[depth:]
                del stack[depth:]
                where = self._handle(strand, frame.node, node, failure, request)
                if where is not _UNHANDLED:
                    return where
                stack.extend(kept)
        return self.fail_by_default(strand, node, failure, request=request)

    def _handle(
        self, strand: Strand, owner: Node, node: Node, failure: Failure, request: list[Any]
    ) -> Node | None:
        first = owner.handler
        scope = strand.scope
        error = {"type": failure.type, "message": failure.message, "detail": failure.detail}
        before = scope.bundles.get(node.id)
        scope.bundles[node.id] = {"error": error}
        if first is not None and not self._admits(strand, first):
            # A filter on the error route that does not pass: as if there were no error route.
            if before is None:
                scope.bundles.pop(node.id, None)
            else:
                scope.bundles[node.id] = before
            return _UNHANDLED
        strand.stack.append(HandlerFrame(node, failure, request))
        # The filter was asked above: it must not be asked again on entering.
        return None if first is None else first.enter(self, strand, first)

    def _admits(self, strand: Strand, first: Node) -> bool:
        self.set_entropy(strand)
        try:
            return first.condition is None or first.condition(strand.scope)
        except ModuleError:
            return False

    def fail_by_default(
        self, strand: Strand, node: Node, failure: Failure, *, request: list[Any]
    ) -> Node | None:
        """No error route took the failure: what its type and the scenario's settings say."""
        default = default_of(failure.type)
        if strand.for_each is not None and not default.stops:
            strand.for_each.failed[strand.item] = {
                "index": strand.item + 1,
                "error": {"type": failure.type, "message": failure.message},
            }
            strand.stack.clear()
            return None
        if self._may_keep(strand, node, default):
            self._end_with(failure, default)
            self.status = "warning"
            return self.keep(strand, node, failure, request=request, stops=default.stops)
        return self._stop(failure)

    def _may_keep(self, strand: Strand, node: Node, default: Default) -> bool:
        mode = self.settings.keep_incomplete
        if mode == "none" or not default.is_storable or node.is_trigger:
            return False
        if mode == "all":
            return True
        is_first = node is self.plan.first and self.start.resumption is None
        return default.is_listed and not is_first and strand.handler() is None

    def keep(
        self,
        strand: Strand,
        node: Node,
        failure: Failure,
        *,
        request: list[Any],
        retry: RetryPolicy | None = None,
        by: str = "",
        stops: bool = False,
    ) -> Node | None:
        """Ask for the failed bundle to be kept; the strand waits for the answer, then goes on."""
        if by == "break":
            if retry is None:
                self.status = "warning"
                self.failure = self.failure or failure
        elif retry is None and default_of(failure.type).is_retried:
            retry = RetryPolicy(attempts=8, interval_seconds=0)
        parameters, bundles, key = request
        resumption = {
            "node": node.id,
            "key": key,
            # For people to see; used again only by aggregators, whose bundles are gone elsewhere.
            "parameters": parameters,
            "gathered": bundles if node.source is not None else None,
            "bundles": {k: v for k, v in strand.scope.bundles.items() if k != node.id},
            "variables": {name: dict(values) for name, values in self.variables.items()},
            "inputs": self.start.inputs,
        }
        call = self.next_call()
        self.pending[call] = Pending(
            strand.id, node.index, "keep", then="stop" if stops else "", failure=failure,
            resumption=resumption, retry=retry,
        )  # fmt: skip
        self._out.append(KeepIncomplete(call, node.id, failure, resumption, retry))
        return PARKED

    def _resume(self, strand: Strand, resumption: Mapping[str, Any]) -> None:
        node = self.plan.by_id.get(resumption["node"])
        for name, values in resumption.get("variables", {}).items():
            self.variables[name] = dict(values)
        strand.scope.bundles.update(resumption["bundles"])
        if node is None:
            self._stop(
                Failure(
                    "InvalidConfigurationError",
                    f"The module {resumption['node']} is not in this version of the scenario.",
                )
            )
            return
        substitute = resumption.get("output")
        if substitute is not None:
            self._walk(strand, self.deliver(strand, node, substitute))
            return
        request = [resumption.get("parameters"), resumption.get("gathered"), resumption.get("key")]
        self._walk(strand, self._ask_again(strand, node, request, attempt=1))

    def _end_with(self, failure: Failure, default: Default, *, is_counted: bool = True) -> None:
        if self.failure is None:
            self.failure = failure
        self.status = "warning" if default.is_warning else "error"
        self.is_counted = self.is_counted or (default.is_counted and is_counted)
        self.switches_off = self.switches_off or default.switches_off

    def _stop(self, failure: Failure) -> Node | None:
        """End with a failure; the cycle is rolled back."""
        return self.stop_rolled_back(failure, is_counted=True)

    def stop_rolled_back(self, failure: Failure, *, is_counted: bool) -> Node | None:
        """Undo the cycle and end with an error."""
        default = default_of(failure.type)
        if not is_counted:
            default = default._replace(switches_off=False)
        self.failure = failure
        self._end_with(failure, default, is_counted=is_counted)
        self._abandon()
        call = self.next_call()
        self.pending[call] = Pending(-1, -1, "rollback")
        self._out.append(Rollback(call, self.cycle))
        return PARKED

    def stop_committed(self) -> Node | None:
        """Make final what was done and end as a success."""
        self._abandon()
        self._commit("stop")
        return PARKED

    def _interrupt(self, message: str) -> None:
        """Stop between two operations: a warning; what was committed stays."""
        if self.is_over:
            return
        failure = Failure("ExecutionInterruptedError", message)
        self._end_with(failure, default_of(failure.type))
        if self.status == "warning":
            self.status = "stopped"
        self._abandon()
        self._commit("stop")

    def _abandon(self) -> None:
        self.is_stopping = True
        self.pending.clear()
        for strand in self.strands.values():
            strand.stack.clear()
            strand.adopted.clear()


_UNHANDLED = Node(index=-2, id="", module=PARKED.module, traits=None)

_ANSWERS: dict[type, Any] = {
    ModuleFailed: Interpreter._module_failed,
    TimeReached: Interpreter._time_reached,
    Continued: Interpreter._continued,
    Committed: Interpreter._committed,
    CommitFailed: Interpreter._commit_failed,
    RolledBack: Interpreter._rolled_back,
    Kept: Interpreter._kept,
}

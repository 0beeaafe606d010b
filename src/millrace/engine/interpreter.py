"""The interpreter: told events, it answers commands. It does no I/O and knows no time of its own.

Theory of operation
-------------------
An execution is a walk through the nodes of a plan. A *strand* (one per item of a running for-each,
else one) holds a stack of frames, the loops it is inside of, and the bundles that can be read.
``_walk`` enters node after node; ``node.enter`` answers the next node, None (this bundle's way
ends: unwind the stack) or PARKED (wait for an event).

Rules that everything here keeps:

1. Every asking gets the next call number, and what is asked depends only on what was told. Telling
   the same events again gives the same commands with the same numbers; that is how a journal is
   replayed (``tell`` the recorded events; what is unanswered at the end remains to be done).
2. Between two events the whole state is in strands, pending calls and counters; ``freeze`` may be
   called at any such moment.
3. A bundle is never changed once it is in a scope.
4. Nothing is said twice: an event for a call that is not pending is refused.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from millrace.engine import failing
from millrace.engine.commands import (
    CallModule,
    Command,
    Finish,
    WaitUntil,
    Yield,
)
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
from millrace.engine.execution import Execution, Start
from millrace.engine.frames import FlushFrame, ForEachFrame, SourceFrame, item_bundle
from millrace.engine.node import PARKED, Node, Way
from millrace.engine.pending import Pending, Request
from millrace.engine.strand import Strand
from millrace.errors import ModuleError
from millrace.expressions import Scope

NOTES_BEFORE_YIELD = 256
"""Operations the engine does by itself before it lets the driver write them down."""

STEPS_BEFORE_YIELD = 5_000
"""Bundles that may be filtered away in one go before others get a turn."""


class Interpreter(Execution):
    """One execution of a plan, moved by events. See `Execution` for what it is made with."""

    # -- told from outside ---------------------------------------------------------------------

    def begin(self, start: Start) -> list[Command]:
        """Start; answers the first commands."""
        self.out = []
        self.at = self.started_at = start.at
        self.set_deadline()
        self.start = start
        self.cycles = max(1, start.cycles if start.cycles is not None else self.settings.cycles)
        self.transfer_bytes = start.transfer_bytes
        self.counters["scenario"] = dict(start.counters)
        inputs = start.inputs
        if start.resumption is not None:
            inputs = inputs or start.resumption.get("inputs", {})
        self.names["var"] = {**self.names.get("var", {}), "input": inputs}
        self._begin_cycle()
        return self.out

    def tell(self, event: Event) -> list[Command]:
        """Take an event; answers what is to be done next.

        Raises:
            ValueError: nothing was asked under that number; the driver or the journal is wrong.
        """
        out: list[Command] = []
        self.out = out
        before, self.at = self.at, event.at
        if isinstance(event, ModuleAnswered):  # the usual case, and the one that must be quick
            pending = self.pending.pop(event.call, None)
            if pending is not None and pending.strand >= 0:
                self._answered(event, pending, self.strands[pending.strand])
                return out
        elif isinstance(event, Cancelled):
            self.interrupt(event.message, status="stopped")
            return out
        else:
            pending = self.pending.pop(event.call, None)
        if pending is None:
            if self.is_over or self.is_stopping:
                return out
            raise ValueError(f"no call {event.call} is waiting")
        if isinstance(event, TimeReached) and all(
            isinstance(other.command, WaitUntil) for other in self.pending.values()
        ):
            self.idle_seconds += (event.at - before).total_seconds()
            self.set_deadline()
        strand = self.strands.get(pending.strand)
        answer = (_OF_THE_WHOLE if strand is None else _OF_A_STRAND).get(event.__class__)
        if answer is None:
            raise ValueError(f"{event.__class__.__name__} is no answer to call {event.call}")
        if strand is None:
            answer(self, event, pending)
        else:
            answer(self, event, pending, strand)
        return out

    def waiting(self) -> list[Command]:
        """Everything asked and not answered, as commands: what a thawed execution must do first."""
        return [pending.command for _, pending in sorted(self.pending.items())]

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
            now=self.at,
            zone=self.plan.zone,
            read_bytes=self.read_bytes,
        )
        strand = self._new_strand(scope)
        start = self.start
        if start.resumption is not None:
            self._walk(strand, failing.go_on(self, strand, start.resumption))
            return
        node = self.plan.first
        if start.trigger is not None:
            node = self.plan.triggers.get(start.trigger)
            if node is None:
                message = f"The module {start.trigger} cannot start this version of the scenario."
                self.stop(Failure("InvalidConfigurationError", message, module=start.trigger))
                return
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
        if self.give_outputs():
            self.commit("cycle")

    def _committed(self, event: Committed, pending: Pending) -> None:
        first = self.plan.first
        again = (
            pending.then == "cycle"
            and self.cycle < self.cycles
            and self.start.bundles is None
            and self.start.resumption is None
            and not (first is not None and first.is_trigger and self.found_nothing)
        )
        self.strands.clear()
        if not again:
            self._finish()
        elif (message := self._overtime(event.at)) is not None:
            self.end_with(Failure("ExecutionInterruptedError", message), status="warning")
            self._finish()
        else:
            self._begin_cycle()

    def _finish(self) -> None:
        self.is_over = True
        self.pending.clear()
        nodes = self.plan.nodes
        by_module: dict[str, int] = {}
        for index, count in enumerate(self.by_module):
            if count:
                by_module[nodes[index].id] = by_module.get(nodes[index].id, 0) + count
        self.out.append(
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
                self.outputs,
            )
        )

    # -- walking -------------------------------------------------------------------------------

    def _walk(self, strand: Strand, node: Node | None) -> None:
        """Enter nodes and unwind frames until the strand waits or is done."""
        stack, out, steps = strand.stack, self.out, 0
        last_operation = self.last_operation
        while node is not PARKED:
            steps += 1
            if steps > STEPS_BEFORE_YIELD or len(out) >= NOTES_BEFORE_YIELD:
                command = Yield(self.next_call())
                index = -1 if node is None else node.index
                self.pending[command.call] = Pending(strand.id, index, command)
                out.append(command)
                return
            if node is None:
                if stack:
                    node = stack[-1].advance(self, strand)
                elif strand.adopted:
                    self._flush_adopted(strand)
                else:
                    self._strand_done(strand)
                    return
                continue
            if node.condition is not None:
                where = self._gate(strand, node)
                if where is not node:
                    node = where
                    continue
            if self.operations >= last_operation and node.is_operation:
                self.use_up_operations()
                return
            node = node.enter(self, strand, node)

    def enter(self, strand: Strand, node: Node) -> Node | None:
        """Enter a node whose filter has been asked."""
        if self.operations >= self.last_operation and node.is_operation:
            return self.use_up_operations()
        return node.enter(self, strand, node)

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
            return self.fail(strand, node, Failure.of(error), call=call, is_filter=True)
        counts[0 if passed else 1] += 1
        return node if passed else None

    def passes(self, strand: Strand, way: Way) -> bool:
        """Whether a bundle may go a way of a router or an if.

        Raises:
            ModuleError: the condition cannot be decided.
        """
        counts = self.links.get(way.key)
        if counts is None:
            counts = self.links[way.key] = [0, 0]
        self.set_entropy(strand)
        passed = way.condition is None or way.condition(strand.scope)
        counts[0 if passed else 1] += 1
        return passed

    def _flush_adopted(self, strand: Strand) -> None:
        aggregator = strand.adopted.pop(0)
        strand.stack.append(FlushFrame(aggregator, strand.gathering.take(aggregator)))

    def _strand_done(self, strand: Strand) -> None:
        loop = strand.for_each
        if loop is None or strand.parent is None:
            if not self.is_stopping and not self.is_over:
                self._end_cycle()
            return
        self.strands.pop(strand.id, None)
        loop.running -= 1
        # The parent is walked on only when it waits for us, not while it is spawning.
        if strand.parent.stack and strand.parent.stack[-1] is loop and self.spawning is not loop:
            self._walk(strand.parent, None)

    def spawn(self, parent: Strand, loop: ForEachFrame, position: int) -> None:
        """Begin the way of one item of a for-each."""
        bundles = dict(parent.scope.bundles)
        bundles[loop.node.id] = item_bundle(loop.items, position)
        scope = Scope(
            bundles=bundles,
            names=self.names,
            now=self.at,
            zone=self.plan.zone,
            read_bytes=self.read_bytes,
        )
        child = self._new_strand(scope, parent=parent, for_each=loop, item=position)
        outer, self.spawning = self.spawning, loop
        self._walk(child, loop.node.first)
        self.spawning = outer

    def _new_strand(self, scope: Scope, **of: Any) -> Strand:
        strand = Strand(id=self.strand_ids, scope=scope, **of)
        self.strands[self.strand_ids] = strand
        self.strand_ids += 1
        return strand

    def repeat(self, strand: Strand, node: Node, request: Request) -> Node | None:
        """Ask for an operation once more: the same effect, so the key of its first attempt.

        What was asked is asked again as it was; what had failed before it could be asked (or comes
        from a resumption, whose author may have mended the mapping) is evaluated anew.
        """
        top = strand.stack[-1] if strand.stack else None
        if isinstance(top, SourceFrame) and top.node is node:
            return self.ask_page(strand, top, attempt=request.attempt)
        if request.gathered is not None:
            return self.aggregate(strand, node, request.gathered, is_counted=True, request=request)
        self.repeated = (node, request)
        try:
            if request.is_filter:
                where = self._pass_again(strand, node)
                if where is not node:
                    return where
            if request.parameters is None:
                return self.enter(strand, node)
            if self.operations >= self.last_operation:
                return self.use_up_operations()
            call = self.begin_operation(strand)
            return self.ask(strand, node, request.parameters, call=call)
        finally:
            self.repeated = None

    def _pass_again(self, strand: Strand, node: Node) -> Node | None:
        if node.way is not None:
            try:
                if not self.passes(strand, node.way):
                    return None
            except ModuleError as error:
                call = self.begin_operation(strand)
                return self.fail(strand, node, Failure.of(error), call=call, is_filter=True)
        return node if node.condition is None else self._gate(strand, node)

    # -- answers -------------------------------------------------------------------------------

    def _answered(self, event: ModuleAnswered, pending: Pending, strand: Strand) -> None:
        node = self.plan.nodes[pending.node]
        if event.transfer_bytes or event.files:
            self._count_transfer(event)
        bundles = event.bundles
        if node.is_trigger and not pending.then:
            self.found_nothing = not bundles
        stack = strand.stack
        if stack and stack[-1].node is node:
            where = self.take(strand, node, bundles, has_more=event.has_more)
        elif len(bundles) == 1 and not event.has_more and not node.feeds:
            strand.scope.bundles[node.id] = bundles[0]
            where = node.next
        else:
            command, request = pending.command, None
            if event.has_more and isinstance(command, CallModule):
                request = [command.parameters, command.key]
            where = self.deliver(strand, node, bundles, has_more=event.has_more, request=request)
        if self.is_limited and self._is_used_up(event.at):
            return
        self._walk(strand, where)

    def _count_transfer(self, event: ModuleAnswered) -> None:
        self.transfer_bytes += event.transfer_bytes
        for content, size in event.files:
            if content not in self.counted_files:
                self.counted_files.add(content)
                self.transfer_bytes += size

    def _is_used_up(self, at: datetime) -> bool:
        limit = self.limits.transfer_bytes
        if limit is not None and self.transfer_bytes > limit:
            message = f"The execution moved more than {limit} bytes."
            self.stop(Failure("DataSizeLimitExceededError", message))
            return True
        late = self._overtime(at)
        if late is None:
            return False
        self.interrupt(late, status="warning")
        return True

    def set_deadline(self) -> None:
        """Reckon when time is up. Waiting does not count: it holds no worker."""
        if self.limits.seconds is not None:
            span = timedelta(seconds=self.limits.seconds + self.idle_seconds)
            self.deadline = self.started_at + span

    def _overtime(self, at: datetime) -> str | None:
        """Why there is no more time."""
        if self.deadline is None or at <= self.deadline:
            return None
        return f"The execution ran longer than {self.limits.seconds:g} seconds."

    def _module_failed(self, event: ModuleFailed, pending: Pending, strand: Strand) -> None:
        node, command = self.plan.nodes[pending.node], pending.command
        if not isinstance(command, CallModule):
            raise ValueError(f"call {event.call} is no module's")
        top = strand.stack[-1] if strand.stack else None
        if isinstance(top, SourceFrame) and top.node is node:
            # The stream broke: what it delivered stays done, and its aggregators will speak.
            top.next_page([], has_more=False)
        is_speaking = isinstance(top, FlushFrame) and top.node is node
        request = Request(
            command.parameters,
            command.bundles if is_speaking else None,
            command.key,
            command.attempt,
            command.page,
        )
        where = self.fail(strand, node, event.failure, call=event.call, request=request)
        self._walk(strand, where)

    def _time_reached(self, event: TimeReached, pending: Pending, strand: Strand) -> None:
        node = self.plan.nodes[pending.node]
        if pending.request is not None:
            self._walk(strand, self.repeat(strand, node, pending.request))
        else:
            self._walk(strand, self.deliver(strand, node, [{}]))

    def _continued(self, event: Continued, pending: Pending, strand: Strand) -> None:
        if self._is_used_up(event.at):
            return
        self._walk(strand, None if pending.node < 0 else self.plan.nodes[pending.node])

    def _rolled_back(self, event: RolledBack, pending: Pending) -> None:
        self._finish()

    def _commit_failed(self, event: CommitFailed, pending: Pending) -> None:
        self.end_with(event.failure, status="error", is_counted=True)
        self._finish()

    def _kept(self, event: Kept, pending: Pending, strand: Strand) -> None:
        if not event.is_kept and not self.settings.drop_when_full:
            self.switches_off = True
            message = "There is no room for another incomplete execution. Resolve or delete some."
            node = self.plan.nodes[pending.node]
            self.stop(Failure("OutOfSpaceError", message, module=node.id))
        elif pending.then == "stop":
            self.stop_committed()
        else:
            self._walk(strand, None)


_OF_A_STRAND: dict[type, Any] = {
    ModuleFailed: Interpreter._module_failed,
    TimeReached: Interpreter._time_reached,
    Continued: Interpreter._continued,
    Kept: Interpreter._kept,
}
_OF_THE_WHOLE: dict[type, Any] = {
    Committed: Interpreter._committed,
    CommitFailed: Interpreter._commit_failed,
    RolledBack: Interpreter._rolled_back,
}

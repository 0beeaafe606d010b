"""The state of an execution, and everything that it can ask of the driver.

``Interpreter`` adds what moves it: being told, walking, cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from millrace.engine import failing
from millrace.engine.commands import (
    CallModule,
    Command,
    Commit,
    KeepIncomplete,
    Note,
    Rollback,
    WaitUntil,
)
from millrace.engine.defaults import default_of
from millrace.engine.events import Failure
from millrace.engine.frames import FlushFrame, ForEachFrame, SourceFrame, forget
from millrace.engine.limits import Limits
from millrace.engine.node import PARKED, Node
from millrace.engine.pending import Pending, Request
from millrace.engine.plan import Plan
from millrace.engine.strand import Strand
from millrace.errors import ModuleError
from millrace.expressions.values import Binary

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


class Execution:
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
        self.outputs: dict[str, Any] | None = None
        self.counted_files: set[str] = set()
        self.at: datetime
        """When the last event was."""
        self.idle_seconds = 0.0
        """Time in which there was nothing to do but wait."""
        self.looks = 0
        """Evaluations that belong to no operation; each has its own chance."""
        # What follows lives between two events only, or is reckoned from the rest: never frozen.
        self.out: list[Command] = []
        """The answer to the event that is being told."""
        self.last_operation = float("inf") if limits.operations is None else limits.operations
        self.is_limited = limits.seconds is not None or limits.transfer_bytes is not None
        self.deadline: datetime | None = None
        self.spawning: ForEachFrame | None = None
        """The loop whose items are being begun."""
        self.repeated: tuple[Node, Request] | None = None
        """The operation that is being asked for once more."""

    # -- asking (called by nodes and frames) -----------------------------------------------------

    def next_call(self) -> int:
        """The next call number."""
        self.calls += 1
        return self.calls

    def begin_operation(self, strand: Strand) -> int:
        """Number a new operation and let its expressions see its own time and chance."""
        call = self.calls = self.calls + 1
        strand.scope.begin(now=self.at, entropy=f"{self.execution_id}.{call}", warnings=[])
        return call

    def set_entropy(self, strand: Strand) -> None:
        """Prepare for expressions that belong to no operation (filters, merges, gathering)."""
        look = self.looks = self.looks + 1
        strand.scope.begin(now=self.at, entropy=f"{self.execution_id}:{look}", warnings=None)

    def note(
        self, strand: Strand, node: Node, call: int, given: Any, made: list[dict[str, Any]] | None
    ) -> None:
        """Record an operation that the engine did itself."""
        self.operations += 1
        self.by_module[node.index] += 1
        self.out.append(Note(call, node.id, given, made))

    def note_failure(self, node: Node, call: int, failure: Failure) -> Failure:
        """Record an operation that failed before it was begun; it is not counted."""
        failure = failing.located(failure, node)
        self.out.append(Note(call, node.id, None, None, failure))
        return failure

    def ask(
        self, strand: Strand, node: Node, parameters: dict[str, Any], *, call: int
    ) -> Node | None:
        """Ask for an app's module to be called with one bundle's parameters."""
        self.operations += 1
        self.by_module[node.index] += 1
        scope = strand.scope
        # An operation's seed and its idempotency key are the same text.
        key, attempt = scope.entropy, 1
        if self.repeated is not None:
            key, attempt = self._identity(node, call)
        warnings = scope.warnings or None
        command = CallModule(call, node.index, node.id, parameters, [], key, 0, attempt, warnings)
        self.pending[call] = Pending(strand.id, node.index, command)
        self.out.append(command)
        return PARKED

    def _identity(self, node: Node, call: int) -> tuple[str, int]:
        """The idempotency key of an operation that begins, and which attempt it is."""
        repeated = self.repeated
        if repeated is not None and repeated[0] is node:
            return repeated[1].key, repeated[1].attempt
        return f"{self.execution_id}.{call}", 1

    def ask_page(self, strand: Strand, frame: SourceFrame, *, attempt: int = 1) -> Node | None:
        """Ask for the next page of a stream; it belongs to the same operation."""
        node, call = frame.node, self.next_call()
        parameters, key = frame.request or ({}, "")
        page = frame.delivered + len(frame.items)
        command = CallModule(call, node.index, node.id, parameters, [], key, page, attempt)
        self.pending[call] = Pending(strand.id, node.index, command, "page")
        self.out.append(command)
        return PARKED

    def aggregate(
        self,
        strand: Strand,
        node: Node,
        bundles: list[dict[str, Any]],
        *,
        is_counted: bool,
        request: Request | None = None,
    ) -> Node | None:
        """Ask an aggregator to speak for one group. Several groups are one operation.

        Args:
            strand: Where its FlushFrame lies on top.
            node: The aggregator.
            bundles: What was gathered.
            is_counted: False from the second group on.
            request: What is repeated, when this is a repetition.
        """
        if is_counted and self.operations >= self.last_operation:
            return self.use_up_operations()
        forget(strand, node.hides)
        call = self.begin_operation(strand)
        try:
            parameters = node.static(strand.scope)
        except ModuleError as error:
            return self.fail(strand, node, Failure.of(error), call=call, gathered=bundles)
        if is_counted:
            self.operations += 1
            self.by_module[node.index] += 1
        key, attempt = f"{self.execution_id}.{call}", 1
        if request is not None:
            key, attempt = request.key, request.attempt
        command = CallModule(call, node.index, node.id, parameters, bundles, key, 0, attempt)
        self.pending[call] = Pending(strand.id, node.index, command)
        self.out.append(command)
        return PARKED

    def wait(
        self, strand: Strand, node: Node, call: int, span: timedelta, parameters: dict[str, Any]
    ) -> Node | None:
        """Let time pass, then go on behind the node with an empty bundle."""
        self.note(strand, node, call, parameters, [{}])
        return self._wait_until(strand, node, self.at + span, None)

    def ask_to_keep(
        self, strand: Strand, node: Node, command: KeepIncomplete, *, then: str
    ) -> None:
        """Ask for a failed bundle to be kept; `then` may be "stop"."""
        self.pending[command.call] = Pending(strand.id, node.index, command, then)
        self.out.append(command)

    def try_again(
        self, strand: Strand, node: Node, span: timedelta, request: Request
    ) -> Node | None:
        """Let time pass, then ask a failed module for the same again."""
        again = msgspec.structs.replace(request, attempt=request.attempt + 1)
        return self._wait_until(strand, node, self.at + span, again)

    def _wait_until(
        self, strand: Strand, node: Node, at: datetime, request: Request | None
    ) -> Node | None:
        command = WaitUntil(self.next_call(), node.id, at)
        self.pending[command.call] = Pending(
            strand.id, node.index, command, "again" if request else "", request
        )
        self.out.append(command)
        return PARKED

    def take(
        self, strand: Strand, node: Node, bundles: list[dict[str, Any]], *, has_more: bool = False
    ) -> Node | None:
        """What an operation gave, or a substitute for it, wherever it is waited for."""
        top = strand.stack[-1] if strand.stack else None
        if isinstance(top, FlushFrame) and top.node is node:
            top.collect(bundles)
            return None
        if isinstance(top, SourceFrame) and top.node is node:
            top.next_page(bundles, has_more=has_more)
            return None
        return self.deliver(strand, node, bundles, has_more=has_more)

    def deliver(
        self,
        strand: Strand,
        node: Node,
        bundles: list[dict[str, Any]],
        *,
        has_more: bool = False,
        request: list[Any] | None = None,
    ) -> Node | None:
        """Send each bundle of an operation onward."""
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

    # -- ending --------------------------------------------------------------------------------

    def fail(
        self,
        strand: Strand,
        node: Node,
        failure: Failure,
        *,
        call: int,
        request: Request | None = None,
        gathered: list[dict[str, Any]] | None = None,
        is_filter: bool = False,
    ) -> Node | None:
        """A module failed; answers where the strand goes on (see ``failing``).

        Args:
            strand: Where it happened.
            node: The module that failed.
            failure: Why.
            call: The operation's number.
            request: What had been asked; None when it had not come to that.
            gathered: With no request: what the aggregator would have been given.
            is_filter: With no request: it was the filter before the module that failed.
        """
        failure = failing.located(failure, node)
        if request is None:
            self.note_failure(node, call, failure)
            key, attempt = self._identity(node, call)
            request = Request(None, gathered, key, attempt, 0, is_filter)
        return failing.fail(self, strand, node, failure, request)

    def stop(
        self, failure: Failure, *, is_warning: bool = False, is_explicit: bool = False
    ) -> Node | None:
        """End with a failure; the cycle is rolled back.

        Args:
            failure: Why.
            is_warning: It will be tried again later and does not count as a failed execution.
            is_explicit: The scenario's author asked for it: a directive.
        """
        default = default_of(failure.type)
        is_warning = is_warning or default.is_warning
        self.end_with(
            failure,
            status="warning" if is_warning else "error",
            is_counted=default.is_counted and not (is_warning or is_explicit),
            switches_off=default.switches_off and not is_explicit,
        )
        self._abandon()
        command = Rollback(self.next_call(), self.cycle)
        self.pending[command.call] = Pending(-1, -1, command)
        self.out.append(command)
        return PARKED

    def stop_committed(self) -> Node | None:
        """Make final what was done, and end with what there is."""
        if self.give_outputs():
            self._abandon()
            self.commit("stop")
        return PARKED

    def give_outputs(self) -> bool:
        """Evaluate what the caller gets; False when that failed and the cycle is rolled back."""
        if not self.plan.outputs:
            return True
        strand = self.strands[min(self.strands)]
        self.set_entropy(strand)
        name = ""
        try:
            outputs = {}
            for name, evaluate in self.plan.outputs.items():
                outputs[name] = evaluate(strand.scope)
        except ModuleError as error:
            failure = Failure.of(error)
            message = f"outputs, {name}: {failure.message}"
            self.stop(msgspec.structs.replace(failure, message=message))
            return False
        self.outputs = outputs
        return True

    def commit(self, then: str) -> None:
        """Ask for the cycle to be made final; `then` is "cycle" or "stop"."""
        # A copy: the command may be carried out when counting has gone on.
        command = Commit(self.next_call(), self.cycle, dict(self.counters["scenario"]))
        self.pending[command.call] = Pending(-1, -1, command, then)
        self.out.append(command)

    def interrupt(self, message: str, *, status: str) -> None:
        """Stop between two operations; what was done stays."""
        if self.is_over or self.is_stopping:
            return
        self.end_with(Failure("ExecutionInterruptedError", message), status=status)
        for pending in self.pending.values():
            if isinstance(pending.command, Commit):
                pending.then, self.is_stopping = "stop", True
                return
        self._abandon()
        self.commit("stop")

    def end_with(
        self,
        failure: Failure,
        *,
        status: str,
        is_counted: bool = False,
        switches_off: bool = False,
    ) -> None:
        """Decide how the execution ends; what counted before still counts."""
        self.failure, self.status = failure, status
        self.is_counted = self.is_counted or is_counted
        self.switches_off = self.switches_off or switches_off

    def _abandon(self) -> None:
        self.is_stopping = True
        self.pending.clear()
        for strand in self.strands.values():
            strand.stack.clear()
            strand.adopted.clear()

    def use_up_operations(self) -> Node | None:
        """Stop, because no further operation is allowed."""
        message = f"The execution used up its {self.limits.operations} operations."
        return self.stop(Failure("OperationsLimitExceededError", message))

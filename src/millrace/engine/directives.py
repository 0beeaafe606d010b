"""What to do after an error: ignore, resume, commit, rollback, break, retry — and throw.

=========  ================  =============  =================  =======  ==========
directive  current bundle    later modules  remaining bundles  phase    status
=========  ================  =============  =================  =======  ==========
ignore     dropped           no             continue           commit   success
resume     a substitute      yes            continue           commit   success
commit     dropped           no             ignored            commit   success
rollback   dropped           no             ignored            rollback error
break      kept incomplete   no             continue           commit   warning
retry      tried again       yes            continue           commit   -
=========  ================  =============  =================  =======  ==========

Source: Make's help on error handlers, and the specification's rulings; read 2026-11-21.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from millrace.engine.commands import RetryPolicy
from millrace.engine.defaults import TABLE
from millrace.engine.events import Failure
from millrace.engine.failing import give_up, keep
from millrace.engine.node import Node
from millrace.engine.strand import Strand
from millrace.errors import BundleValidationError, ModuleError

MAX_WAIT_SECONDS = 30 * 86_400
"""Of one retry: after a month nobody expects an effect any more."""


def ignore(run: Any, strand: Strand, node: Node) -> Node | None:
    """Drop the bundle; the next one goes on."""
    strand.leave_handler(drops=True)
    return None


def resume(run: Any, strand: Strand, node: Node) -> Node | None:
    """Put a substitute where the failed module's bundle should have been, and go on behind it."""
    run.set_entropy(strand)
    try:
        substitute = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    return None if handler is None else run.take(strand, handler.node, [substitute])


def commit(run: Any, strand: Strand, node: Node) -> Node | None:
    """Make final what was done so far, and stop."""
    return run.stop_committed()


def rollback(run: Any, strand: Strand, node: Node) -> Node | None:
    """Undo what can be undone of this cycle, and stop with an error.

    Somebody wrote this rollback, so it does not count towards the scenario's consecutive errors.
    """
    handler = strand.leave_handler()
    failure = handler.failure if handler else Failure("RuntimeError", "Rolled back by a directive.")
    return run.stop(failure, is_explicit=True)


def break_(run: Any, strand: Strand, node: Node) -> Node | None:
    """Keep the bundle as an incomplete execution; the next one goes on."""
    run.set_entropy(strand)
    try:
        parameters = node.parameters(strand.scope)
        policy = None
        if parameters.get("retry") in (True, "true"):
            policy = RetryPolicy(
                attempts=_whole(parameters, "count", 3, 1, 10_000),
                interval_seconds=_whole(parameters, "interval", 15, 1, 44_640) * 60,
            )
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    if handler is None:
        return None
    if policy is None:
        run.status = "warning"
        run.failure = run.failure or handler.failure
    return keep(run, strand, handler.node, handler.failure, handler.request, policy)


def retry(run: Any, strand: Strand, node: Node) -> Node | None:
    """Try the failed module again after a wait; after the last try its error has no handler."""
    run.set_entropy(strand)
    try:
        parameters = node.parameters(strand.scope)
        times = _whole(parameters, "times", 3, 1, 1_000)
        wait = _number(parameters, "wait", 10, 0, MAX_WAIT_SECONDS)
        backoff = _number(parameters, "backoff", 2, 0, 100)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    if handler is None:
        return None
    failure, request = handler.failure, handler.request
    if request.attempt > times:
        return give_up(run, strand, handler, failure)
    # Beyond the sixtieth power every wait is the longest one, and a float may overflow.
    seconds = wait * backoff ** min(request.attempt - 1, 60)
    seconds = max(seconds, failure.retry_after_seconds or 0)
    span = timedelta(seconds=min(seconds, MAX_WAIT_SECONDS))
    return run.try_again(strand, handler.node, span, request)


def throw(run: Any, strand: Strand, node: Node) -> Node | None:
    """Fail here, on purpose, with an error of the author's choice.

    In an error route it takes the place of the error that is being handled.
    """
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    kind = str(parameters.get("type") or "RuntimeError")
    message = str(parameters.get("message") or "Thrown by the scenario.")
    failure = Failure(kind if kind in TABLE else "RuntimeError", message)
    handler = None if node.has_handler else strand.leave_handler()
    if handler is None:
        return run.fail(strand, node, failure, call=call)
    failure = run.note_failure(node, call, failure)
    return give_up(run, strand, handler, failure)


def _number(
    parameters: dict[str, Any], name: str, default: float, low: float, high: float
) -> float:
    value = parameters.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BundleValidationError(f"{name}: a number is needed") from None
    if not low <= number <= high:
        raise BundleValidationError(f"{name}: between {low:g} and {high:g} allowed")
    return number


def _whole(parameters: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    return int(_number(parameters, name, default, low, high))

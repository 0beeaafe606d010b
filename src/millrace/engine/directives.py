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
from millrace.engine.node import Node
from millrace.errors import BundleValidationError, ModuleError


def ignore(run: Any, strand: Any, node: Node) -> Node | None:
    """Drop the bundle; the next one goes on."""
    strand.leave_handler()
    return None


def resume(run: Any, strand: Any, node: Node) -> Node | None:
    """Put a substitute where the failed module's bundle should have been, and go on behind it."""
    try:
        run.set_entropy(strand)
        substitute = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    if handler is None:
        return None
    return run.deliver(strand, handler.node, [substitute])


def commit(run: Any, strand: Any, node: Node) -> Node | None:
    """Make final what was done so far, and stop."""
    strand.leave_handler()
    return run.stop_committed()


def rollback(run: Any, strand: Any, node: Node) -> Node | None:
    """Undo what can be undone of this cycle, and stop with an error.

    Somebody wrote this rollback, so it does not count towards the scenario's consecutive errors.
    """
    handler = strand.leave_handler()
    failure = handler.failure if handler else Failure("RuntimeError", "Rolled back by a directive.")
    return run.stop_rolled_back(failure, is_counted=False)


def break_(run: Any, strand: Any, node: Node) -> Node | None:
    """Keep the bundle as an incomplete execution; the next one goes on."""
    try:
        run.set_entropy(strand)
        parameters = node.parameters(strand.scope)
        policy = None
        if parameters.get("retry") in (True, "true"):
            policy = RetryPolicy(
                attempts=_bounded(parameters, "count", 3, 1, 10_000),
                interval_seconds=_bounded(parameters, "interval", 15, 1, 44_640) * 60,
            )
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    if handler is None:
        return None
    return run.keep(
        strand, handler.node, handler.failure, request=handler.request, retry=policy, by="break"
    )


def retry(run: Any, strand: Any, node: Node) -> Node | None:
    """Try the failed module again after a wait; after the last try its error has no handler."""
    try:
        run.set_entropy(strand)
        parameters = node.parameters(strand.scope)
        times = _bounded(parameters, "times", 3, 1, 1_000)
        wait = _number(parameters, "wait", 10)
        backoff = _number(parameters, "backoff", 2)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=run.begin_operation(strand))
    handler = strand.leave_handler()
    if handler is None:
        return None
    done = strand.retries.get(handler.node.index, 0)
    if done >= times:
        strand.retries.pop(handler.node.index, None)
        return run.fail_by_default(strand, handler.node, handler.failure, request=handler.request)
    strand.retries[handler.node.index] = done + 1
    seconds = wait * backoff**done
    if handler.failure.retry_after_seconds:
        seconds = max(seconds, handler.failure.retry_after_seconds)
    return run.try_again(
        strand, handler.node, timedelta(seconds=min(seconds, 30 * 86_400)), handler.request
    )


def throw(run: Any, strand: Any, node: Node) -> Node | None:
    """Fail here, on purpose, with an error of the author's choice."""
    call = run.begin_operation(strand, is_counted=False)
    try:
        parameters = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    kind = str(parameters.get("type") or "RuntimeError")
    message = str(parameters.get("message") or "Thrown by the scenario.")
    if kind not in TABLE:
        kind = "RuntimeError"
    return run.fail(strand, node, Failure(kind, message), call=call)


def _number(parameters: dict[str, Any], name: str, default: float) -> float:
    value = parameters.get(name)
    if value is None or value == "":
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BundleValidationError(f"{name}: a number is needed") from None
    if not 0 <= number < 1e9:
        raise BundleValidationError(f"{name}: out of range")
    return number


def _bounded(parameters: dict[str, Any], name: str, default: int, low: int, high: int) -> int:
    number = int(_number(parameters, name, default))
    if not low <= number <= high:
        raise BundleValidationError(f"{name}: between {low} and {high} allowed")
    return number

"""What happens when a module fails: its error route, that of a router around it, or the default.

The order of asking, from the inside out: the module's own error route; the error routes of the
routers it stands in, up to the error route that is under way; then the row of the error's type in
``defaults``, and the scenario's settings. An error route whose filter does not pass counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from millrace.engine.commands import KeepIncomplete, RetryPolicy
from millrace.engine.defaults import Default, default_of
from millrace.engine.events import Failure
from millrace.engine.frames import FlushFrame, HandlerFrame, RouterFrame, SourceFrame
from millrace.engine.node import PARKED, Node
from millrace.engine.pending import Request
from millrace.engine.strand import Strand
from millrace.errors import ModuleError

AUTOMATIC_ATTEMPTS = 8
"""Of a bundle kept for an error that is retried. Source: Make's help, read 2026-11-21."""


def located(failure: Failure, node: Node) -> Failure:
    """A failure that says where it happened."""
    if failure.module:
        return failure
    message = f"{node.label}: {failure.message}" if node.label else failure.message
    return msgspec.structs.replace(failure, module=node.id, message=message)


def fail(run: Any, strand: Strand, node: Node, failure: Failure, request: Request) -> Node | None:
    """A module failed; answers where the strand goes on."""
    if default_of(failure.type).is_always_kept:
        # Whether it acted is for a person to say: an error route might repeat the effect.
        return _fail_by_default(run, strand, node, failure, request)
    if node.has_handler and _admits(run, strand, node, node, failure):
        return _handle(run, strand, node, node, failure, request, base=len(strand.stack))
    return _fail_further_out(run, strand, node, failure, request, below=len(strand.stack))


def give_up(run: Any, strand: Strand, handler: HandlerFrame, failure: Failure) -> Node | None:
    """An error route has been left that will not handle the failure: ask those around it."""
    return _fail_further_out(
        run, strand, handler.node, failure, handler.request, below=handler.base
    )


def _fail_further_out(
    run: Any, strand: Strand, node: Node, failure: Failure, request: Request, *, below: int
) -> Node | None:
    stack = strand.stack
    for depth in range(below - 1, -1, -1):
        frame = stack[depth]
        if isinstance(frame, HandlerFrame):
            break
        if isinstance(frame, RouterFrame) and frame.node.has_handler:
            router = frame.node
            if _admits(run, strand, router, node, failure):
                return _handle(run, strand, router, node, failure, request, base=depth)
    return _fail_by_default(run, strand, node, failure, request)


def _admits(run: Any, strand: Strand, owner: Node, node: Node, failure: Failure) -> bool:
    """Whether the filter on an error route passes; if so, the error can be read from here on."""
    bundles, first = strand.scope.bundles, owner.handler
    before = bundles.get(node.id)
    bundles[node.id] = {
        "error": {"type": failure.type, "message": failure.message, "detail": failure.detail}
    }
    if first is None or first.condition is None:
        return True
    run.set_entropy(strand)
    try:
        passes = first.condition(strand.scope)
    except ModuleError:
        passes = False
    if not passes:
        if before is None:
            del bundles[node.id]
        else:
            bundles[node.id] = before
    return passes


def _handle(
    run: Any,
    strand: Strand,
    owner: Node,
    node: Node,
    failure: Failure,
    request: Request,
    *,
    base: int,
) -> Node | None:
    strand.stack.append(HandlerFrame(node, failure, request, base=base))
    # Its filter has been asked: it must not be asked again on entering.
    return None if owner.handler is None else run.enter(strand, owner.handler)


def _fail_by_default(
    run: Any, strand: Strand, node: Node, failure: Failure, request: Request
) -> Node | None:
    """No error route took the failure: what its type and the scenario's settings say."""
    default = default_of(failure.type)
    loop = strand.for_each
    if loop is not None and not default.stops and not default.is_always_kept:
        loop.failed[strand.item] = {
            "index": strand.item + 1,
            "error": {"type": failure.type, "message": failure.message},
        }
        strand.stack.clear()
        strand.adopted.clear()
        return None
    is_first = run.start.resumption is None and (node is run.plan.first or node.is_trigger)
    if not _may_keep(run, strand, node, default, is_first=is_first):
        return run.stop(failure, is_warning=is_first and default.is_rerun)
    if run.failure is None:
        run.failure = failure
    run.status = "warning"
    # Where Make's rules hold, a warning neither counts nor switches off by counting.
    run.is_counted |= default.is_counted and run.settings.keep_incomplete == "all"
    run.switches_off |= default.switches_off
    policy = None
    if default.is_retried:
        policy = RetryPolicy(attempts=AUTOMATIC_ATTEMPTS, interval_seconds=0)
    return keep(run, strand, node, failure, request, policy, stops=default.stops)


def _may_keep(run: Any, strand: Strand, node: Node, default: Default, *, is_first: bool) -> bool:
    if default.is_always_kept:
        return True
    mode = run.settings.keep_incomplete
    if mode == "none" or not default.is_storable or node.is_trigger:
        return False
    if mode == "all":
        return True
    return default.is_listed and not is_first and strand.handler() is None


def keep(
    run: Any,
    strand: Strand,
    node: Node,
    failure: Failure,
    request: Request,
    policy: RetryPolicy | None,
    *,
    stops: bool = False,
) -> Node | None:
    """Ask for the failed bundle to be kept; the strand waits for the answer, then goes on."""
    top = strand.stack[-1] if strand.stack else None
    bundles = strand.scope.bundles
    resumption = {
        "node": node.place,
        "key": request.key,
        "page": request.page,
        "is_filter": request.is_filter,
        # For people to see; they are evaluated anew, so that a mended mapping takes effect.
        "parameters": request.parameters,
        "gathered": request.gathered,
        "group": top.group if isinstance(top, FlushFrame) and top.node is node else "",
        "bundles": {id: bundle for id, bundle in bundles.items() if id != node.id},
        "variables": {name: dict(values) for name, values in run.variables.items()},
        "inputs": run.names["var"]["input"],
        "handlers": [
            [
                frame.node.place,
                list(msgspec.structs.astuple(frame.failure)),
                list(msgspec.structs.astuple(frame.request)),
            ]
            for frame in strand.stack
            if isinstance(frame, HandlerFrame)
        ],
    }
    command = KeepIncomplete(run.next_call(), node.id, failure, resumption, policy)
    run.ask_to_keep(strand, node, command, then="stop" if stops else "")
    return PARKED


def go_on(run: Any, strand: Strand, resumption: Mapping[str, Any]) -> Node | None:
    """Begin at a failed module with the bundles that were kept.

    ``output`` in the resumption (a list of bundles) stands for what the module gave, where a person
    says that the operation has been done.
    """
    node = run.plan.by_place.get(resumption["node"])
    if node is None:
        message = f"The module {resumption['node']} is not in this version of the scenario."
        return run.stop(Failure("InvalidConfigurationError", message, module=resumption["node"]))
    for name, values in resumption.get("variables", {}).items():
        run.variables[name] = dict(values)
    strand.scope.bundles.update(resumption["bundles"])
    for place, failure, request in resumption.get("handlers", ()):
        handled = run.plan.by_place.get(place)
        if handled is not None:
            frame = HandlerFrame(
                handled, Failure(*failure), Request(*request), base=len(strand.stack)
            )
            strand.stack.append(frame)
    gathered = resumption.get("gathered")
    if gathered is not None:
        speaking = FlushFrame(node, [(resumption.get("group", ""), gathered)])
        speaking.position = 1
        strand.stack.append(speaking)
    output = resumption.get("output")
    if output is not None:
        return run.take(strand, node, output)
    page = resumption.get("page", 0)
    if page:
        return _continue_stream(run, strand, node, resumption["key"], page)
    request = Request(None, gathered, resumption["key"], 1, 0, resumption.get("is_filter", False))
    return run.repeat(strand, node, request)


def _continue_stream(run: Any, strand: Strand, node: Node, key: str, page: int) -> Node | None:
    call = run.begin_operation(strand)
    try:
        parameters = node.parameters(strand.scope)
    except ModuleError as error:
        return run.fail(strand, node, Failure.of(error), call=call)
    frame = SourceFrame(node, [], request=[parameters, key])
    frame.delivered = page
    strand.stack.append(frame)
    return run.ask_page(strand, frame)

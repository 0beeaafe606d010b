"""The history, and one execution with every input and output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from millrace.api.pages.html import (
    Html,
    a,
    b,
    details,
    div,
    h1,
    h2,
    h3,
    html,
    li,
    ol,
    p,
    span,
    summary,
)
from millrace.api.pages.layout import act, counted, page, pager, pill, size_of, span_of, when
from millrace.api.pages.shared import (
    PER_PAGE,
    Before,
    Id,
    Person,
    executions_table,
    facts,
    names_of,
)
from millrace.api.pages.tree import bundles, tree
from millrace.api.policy import Routes, allows
from millrace.api.shapes import The
from millrace.runtime.history import Operation
from millrace.storage.store import ExecutionRow

routes = Routes()

EVENTS = {
    "kept": "kept as incomplete",
    "waited": "waited",
    "commit": "committed",
    "rollback": "rolled back",
    "cancelled": "stopped by a person",
}
"""What is in a journal besides operations."""


@routes.get("/executions")
@allows("history.read")
async def executions_page(runtime: The, session: Person, before: Before = None) -> Response:
    """The newest executions of the team, and what it used."""
    by = session.actor
    rows = await runtime.history.page(by=by, before=before, limit=PER_PAGE)
    names = await names_of(runtime, by, {row.scenario_id for row in rows})
    used = (await runtime.history.usage(by=by, days=30)).total
    return page(
        "History",
        h1("History"),
        p("Every execution, newest first. The sums are those of the last 30 days.", class_="lead"),
        facts(
            ("Executions", f"{used.executions:,}"),
            ("Operations", f"{used.operations:,}"),
            ("Data transferred", size_of(used.transfer_bytes)),
            ("Errors", f"{used.errors:,}"),
        ),
        div(executions_table(rows, names, runtime.clock.now()), class_="card scroll"),
        pager("/executions?before=", rows[-1].id if len(rows) == PER_PAGE else None),
        session=session,
        here="/executions",
    )


@routes.get("/executions/{id}")
@allows("history.read")
async def execution_page(
    runtime: The, session: Person, id: Id, after: Annotated[int, Query(ge=-1)] = -1
) -> Response:
    """One execution with the input and output of every operation."""
    by = session.actor
    found = await runtime.history.get(id, by=by, after=after, limit=100)
    row = found.execution
    names = await names_of(runtime, by, {row.scenario_id})
    is_over = row.finished_at_ms is not None
    outputs = html(h2("Outputs"), div(tree(found.outputs), class_="card pad"))
    return page(
        "Execution",
        div(
            a("Scenarios", href="/"),
            " / ",
            a(names[row.scenario_id], href=f"/scenarios/{row.scenario_id}"),
            " / ",
            class_="crumbs",
        ),
        div(
            div(
                h1("Execution"),
                div(
                    pill(row.status),
                    span(f"{row.kind}, started ", when(row.started_at_ms, runtime.clock.now())),
                    span(row.id, class_="mono soft"),
                    class_="row",
                ),
            ),
            None if is_over else act(f"/executions/{id}/cancel", "Stop", session),
            class_="spread",
        ),
        facts(
            ("Operations", f"{row.operations:,}"),
            ("Data transferred", size_of(row.transfer_bytes)),
            ("Duration", span_of(row.duration_ms)),
            ("Cycles", f"{row.cycles:,}"),
        ),
        _failure(row),
        h2("Operations"),
        div(_operations(found.operations), class_="card"),
        pager(f"/executions/{id}?after=", found.next, "More"),
        outputs if found.outputs else None,
        session=session,
        here="/executions",
    )


@routes.post("/executions/{id}/cancel")
@allows("history.cancel")
async def cancel_execution(runtime: The, session: Person, id: Id) -> Response:
    """Stop it before its next operation."""
    await runtime.history.cancel(id, by=session.actor)
    return RedirectResponse(f"/executions/{id}", status_code=303)


def _failure(row: ExecutionRow) -> Html | None:
    if not row.error_message:
        return None
    where = f" (module {row.error_module})" if row.error_module else ""
    return div(b(row.error_type), where, ": ", row.error_message, class_="note bad")


def _operations(found: Sequence[Operation]) -> Html:
    if not found:
        return div(b("Nothing to show"), "No operation was recorded, or not yet.", class_="empty")
    return ol([li(_operation(operation)) for operation in found], class_="steps")


def _operation(operation: Operation) -> Html:
    error = operation.error
    if error:
        result = span(error["type"], class_="small")
    elif isinstance(operation.output, list):
        result = span(counted(len(operation.output), "bundle"), class_="soft small")
    else:
        result = html()
    mark, said = ("✕", "failed") if error else ("✓", "done")
    if operation.kind in EVENTS:
        mark, said = "·", "noted"
    took = span_of(operation.duration_ms) if operation.kind == "module" else ""
    warnings = [div(warning, class_="small soft") for warning in operation.warnings]
    return details(
        summary(
            span(mark, class_="mark", aria_label=said),
            span(operation.module, class_="mono id"),
            span(EVENTS.get(operation.kind) or operation.name or operation.kind, class_="name"),
            result,
            span(took, class_="soft small took"),
        ),
        div(
            div(
                b(error["type"]),
                p(error["message"]),
                tree(error["detail"]) if error["detail"] else None,
                class_="wide",
            )
            if error
            else None,
            div(h3("Input"), tree(operation.input)),
            div(h3("Output"), bundles(operation.output)),
            div(h3("Warnings"), warnings, class_="wide") if warnings else None,
            class_="body",
        ),
        class_="step bad" if error else "step",
        open=bool(error),
    )

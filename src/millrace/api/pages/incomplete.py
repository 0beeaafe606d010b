"""Incomplete executions: what failed and can still be mended."""

from __future__ import annotations

from datetime import datetime

from fastapi import Response
from fastapi.responses import RedirectResponse

from millrace.api.pages.html import (
    Html,
    a,
    b,
    div,
    h1,
    h2,
    p,
    span,
    table,
    tbody,
    td,
    th,
    thead,
    tr,
)
from millrace.api.pages.layout import act, page, pager, pill, when
from millrace.api.pages.shared import PER_PAGE, Before, Id, Person, facts, names_of
from millrace.api.pages.tree import tree
from millrace.api.policy import Routes, allows
from millrace.api.shapes import The
from millrace.runtime.users import Session
from millrace.storage.store import IncompleteRow

routes = Routes()


@routes.get("/incomplete")
@allows("incomplete.read")
async def incomplete_page(runtime: The, session: Person, before: Before = None) -> Response:
    """What failed and can still be mended."""
    by = session.actor
    rows = await runtime.incomplete.page(by=by, before=before, limit=PER_PAGE)
    names = await names_of(runtime, by, {row.scenario_id for row in rows})
    now = runtime.clock.now()
    content = (
        table(
            thead(tr(th("What failed"), th("Scenario"), th("When"), th("Next try"), th(""))),
            tbody([_incomplete_line(row, names, session, now) for row in rows]),
        )
        if rows
        else div(b("Nothing is incomplete"), "Failed bundles would wait here.", class_="empty")
    )
    return page(
        "Incomplete executions",
        div(
            h1("Incomplete executions"),
            act("/incomplete/retry", "Retry all", session) if rows else None,
            class_="spread",
        ),
        p(
            "Failed bundles are kept here. A retry goes on at the module that failed; "
            "what went well before is not done again.",
            class_="lead",
        ),
        div(content, class_="card scroll"),
        pager("/incomplete?before=", rows[-1].id if len(rows) == PER_PAGE else None),
        session=session,
        here="/incomplete",
    )


@routes.get("/incomplete/{id}")
@allows("incomplete.read")
async def one_incomplete_page(runtime: The, session: Person, id: Id) -> Response:
    """One of them with the bundles it holds."""
    by, now = session.actor, runtime.clock.now()
    found = await runtime.incomplete.get(id, by=by)
    row = found.row
    names = await names_of(runtime, by, {row.scenario_id})
    held = found.held.get("bundles") or {}
    return page(
        "Incomplete execution",
        div(a("Incomplete executions", href="/incomplete"), " / ", class_="crumbs"),
        div(
            div(
                h1(names[row.scenario_id]),
                div(
                    pill(row.state),
                    span("failed ", when(row.created_at_ms, now)),
                    a("the execution", href=f"/executions/{row.execution_id}"),
                    class_="row",
                ),
            ),
            _decisions(row, session),
            class_="spread",
        ),
        div(b(row.error_type), ": ", row.error_message, class_="note bad"),
        facts(
            ("Module", row.error_module or "—"),
            ("Tries", f"{row.attempts} of {row.max_attempts}" if row.max_attempts else "by hand"),
            ("Next try", when(row.retry_at_ms, now)),
            ("Kept until", when(row.expires_at_ms, now)),
        ),
        h2("The bundles it holds"),
        div(tree(held), class_="card pad"),
        session=session,
        here="/incomplete",
    )


@routes.post("/incomplete/retry")
@allows("incomplete.change")
async def retry_all(runtime: The, session: Person) -> Response:
    """Retry all that wait."""
    await runtime.incomplete.retry_all(by=session.actor)
    return RedirectResponse("/incomplete", status_code=303)


@routes.post("/incomplete/{id}/retry")
@allows("incomplete.change")
async def retry_incomplete(runtime: The, session: Person, id: Id) -> Response:
    """Retry one."""
    await runtime.incomplete.retry(id, by=session.actor)
    return RedirectResponse("/incomplete", status_code=303)


@routes.post("/incomplete/{id}/resolve")
@allows("incomplete.change")
async def resolve_incomplete(runtime: The, session: Person, id: Id) -> Response:
    """It was dealt with elsewhere."""
    await runtime.incomplete.resolve(id, by=session.actor)
    return RedirectResponse("/incomplete", status_code=303)


@routes.post("/incomplete/{id}/discard")
@allows("incomplete.change")
async def discard_incomplete(runtime: The, session: Person, id: Id) -> Response:
    """Give it up."""
    await runtime.incomplete.discard(id, by=session.actor)
    return RedirectResponse("/incomplete", status_code=303)


def _incomplete_line(
    row: IncompleteRow, names: dict[str, str], session: Session, now: datetime
) -> Html:
    return tr(
        td(
            a(b(row.error_type), href=f"/incomplete/{row.id}"),
            div(row.error_message, class_="small soft"),
        ),
        td(a(names[row.scenario_id], href=f"/scenarios/{row.scenario_id}")),
        td(when(row.created_at_ms, now)),
        td(when(row.retry_at_ms, now)),
        td(_decisions(row, session)),
    )


def _decisions(row: IncompleteRow, session: Session) -> Html | None:
    if row.state != "waiting":
        return None
    to = f"/incomplete/{row.id}"
    return div(
        act(f"{to}/retry", "Retry", session),
        act(f"{to}/resolve", "Resolved", session, kind="plain"),
        act(f"{to}/discard", "Discard", session, kind="plain"),
        class_="row",
    )

"""What the pages of several nouns share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from millrace.api.pages.html import (
    Html,
    a,
    b,
    dd,
    div,
    dl,
    dt,
    section,
    table,
    tbody,
    td,
    th,
    thead,
    tr,
)
from millrace.api.pages.layout import pill, size_of, span_of, when
from millrace.api.policy import By
from millrace.errors import NotFound
from millrace.runtime.actor import Actor
from millrace.runtime.users import Session
from millrace.runtime.wire import Runtime
from millrace.storage.store import ExecutionRow

Id = Annotated[str, Path(max_length=80)]
Before = Annotated[str | None, Query(max_length=80)]
PER_PAGE = 50


async def the_session(request: Request, by: By) -> Session:
    """Who looks at the page; whoever comes with a token reads the API instead.

    Raises:
        NotFound: there is no session.
    """
    session: Session | None = getattr(request.state, "session", None)
    if session is None:
        raise NotFound("Pages are for people; with a token, read /api/v1.")
    return session


Person = Annotated[Session, Depends(the_session)]


def executions_table(rows: Sequence[ExecutionRow], names: dict[str, str], now: datetime) -> Html:
    """A table of executions, with their scenarios if `names` has any."""
    if not rows:
        return div(b("No executions yet"), "They appear here as they happen.", class_="empty")
    lines = [
        tr(
            td(a(when(row.started_at_ms, now), href=f"/executions/{row.id}")),
            td(pill(row.status)),
            td(a(names[row.scenario_id], href=f"/scenarios/{row.scenario_id}")) if names else None,
            td(
                div(row.kind),
                div(row.error_message, class_="small soft") if row.error_message else None,
            ),
            td(f"{row.operations:,}", class_="number"),
            td(size_of(row.transfer_bytes), class_="number"),
            td(span_of(row.duration_ms), class_="number"),
        )
        for row in rows
    ]
    heads = tr(
        th("Started"),
        th("Status"),
        th("Scenario") if names else None,
        th("By"),
        th("Operations", class_="number"),
        th("Data", class_="number"),
        th("Duration", class_="number"),
    )
    return table(thead(heads), tbody(lines))


def facts(*pairs: tuple[str, Any]) -> Html:
    """Some figures side by side."""
    return section(dl([div(dt(name), dd(value)) for name, value in pairs], class_="facts card"))


async def names_of(runtime: Runtime, by: Actor, ids: set[str]) -> dict[str, str]:
    """Names of scenarios; of one that is gone, what there is left to say."""
    names = {}
    for id in ids:
        try:
            names[id] = (await runtime.scenarios.get(id, by=by)).name
        except NotFound:
            names[id] = "a deleted scenario"
    return names

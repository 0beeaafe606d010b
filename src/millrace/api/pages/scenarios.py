"""Scenarios: the list, and one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from millrace.api.pages.html import (
    Html,
    a,
    b,
    code,
    details,
    div,
    h1,
    h2,
    html,
    li,
    p,
    pre,
    span,
    summary,
    table,
    tbody,
    td,
    th,
    thead,
    tr,
    ul,
)
from millrace.api.pages.layout import TONES, act, counted, page, pager, pill, when
from millrace.api.pages.shared import PER_PAGE, Before, Id, Person, executions_table
from millrace.api.policy import Routes, allows
from millrace.api.shapes import The
from millrace.errors import ScenarioInvalid
from millrace.scenario.formats import read_scenario
from millrace.scenario.model import Module
from millrace.storage.scenarios import ScenarioRow
from millrace.storage.store import ExecutionRow

routes = Routes()

LAST = 12
"""Executions shown as small bars beside a scenario."""


@routes.get("/")
@allows("scenarios.read")
async def scenarios_page(runtime: The, session: Person, before: Before = None) -> Response:
    """Every scenario with its last executions."""
    by, now = session.actor, runtime.clock.now()
    rows = await runtime.scenarios.page(by=by, before=before, limit=PER_PAGE)
    lines = []
    for row in rows:
        last = await runtime.history.page(by=by, scenario_id=row.id, limit=LAST)
        lines.append(_scenario_line(row, last, now))
    content = (
        table(
            thead(tr(th("Scenario"), th("State"), th("Last executions"), th("Next start"))),
            tbody(lines),
        )
        if rows
        else div(
            b("No scenarios yet"),
            "Import one: ",
            code("millrace import order.yaml"),
            class_="empty",
        )
    )
    return page(
        "Scenarios",
        h1("Scenarios"),
        p("What runs by itself, when it last did, and how that went.", class_="lead"),
        div(content, class_="card scroll"),
        pager("/?before=", rows[-1].id if len(rows) == PER_PAGE else None),
        session=session,
        here="/",
    )


@routes.get("/scenarios/{id}")
@allows("scenarios.read")
async def scenario_page(runtime: The, session: Person, id: Id) -> Response:
    """One scenario: what it does, what is wrong with it, how it went."""
    by, now = session.actor, runtime.clock.now()
    row = await runtime.scenarios.get(id, by=by)
    draft = await runtime.scenarios.text(id, by=by)
    found = await runtime.scenarios.problems(id, by=by)
    last = await runtime.history.page(by=by, scenario_id=id, limit=20)
    is_changed = row.draft_version_id != row.published_version_id
    return page(
        row.name,
        div(a("Scenarios", href="/"), " / ", class_="crumbs"),
        div(
            div(
                h1(row.name),
                div(
                    pill(*_state_of(row)),
                    span(_schedule_of(row), class_="soft"),
                    pill("draft not published", "") if is_changed else None,
                    class_="row",
                ),
            ),
            div(
                act(f"/scenarios/{id}/run", "Run once", session),
                act(f"/scenarios/{id}/deactivate", "Switch off", session)
                if row.is_active
                else act(f"/scenarios/{id}/activate", "Switch on", session, kind="main"),
                class_="row",
            ),
            class_="spread",
        ),
        div(row.paused_reason, class_="note bad") if row.paused_reason else None,
        _problems(found),
        h2("What it does"),
        div(_outline(draft.body), class_="card pad scroll"),
        h2("Last executions"),
        div(executions_table(last, {}, now), class_="card scroll"),
        h2("The file"),
        details(
            summary(f"Version {draft.number}", class_="pad"),
            div(pre(draft.body), class_="pad scroll"),
            class_="card",
        ),
        session=session,
        here="/",
    )


@routes.post("/scenarios/{id}/run")
@allows("scenarios.run")
async def run_scenario(runtime: The, session: Person, id: Id) -> Response:
    """Start it once and show what happens."""
    execution_id = await runtime.scenarios.run_once(id, by=session.actor)
    return RedirectResponse(f"/executions/{execution_id}", status_code=303)


@routes.post("/scenarios/{id}/activate")
@allows("scenarios.activate")
async def activate_scenario(runtime: The, session: Person, id: Id) -> Response:
    """Switch it on."""
    await runtime.scenarios.activate(id, by=session.actor)
    return RedirectResponse(f"/scenarios/{id}", status_code=303)


@routes.post("/scenarios/{id}/deactivate")
@allows("scenarios.activate")
async def deactivate_scenario(runtime: The, session: Person, id: Id) -> Response:
    """Switch it off."""
    await runtime.scenarios.deactivate(id, by=session.actor)
    return RedirectResponse(f"/scenarios/{id}", status_code=303)


def _scenario_line(row: ScenarioRow, last: Sequence[ExecutionRow], now: datetime) -> Html:
    bars = [
        a(
            class_=TONES.get(one.status, ""),
            href=f"/executions/{one.id}",
            title=f"{one.status}, {counted(one.operations, 'operation')}",
            aria_label=one.status,
        )
        for one in reversed(last)
    ]
    newest = when(last[0].started_at_ms, now) if last else span("never", class_="soft")
    return tr(
        td(
            a(b(row.name), href=f"/scenarios/{row.id}"),
            div(_schedule_of(row), class_="small soft"),
        ),
        td(pill(*_state_of(row))),
        td(div(span(bars, class_="dots"), newest, class_="row")),
        td(when(row.next_due_at_ms if row.is_active else None, now)),
    )


def _state_of(row: ScenarioRow) -> tuple[str, str | None]:
    if row.is_active:
        return "active", None
    return ("paused", "bad") if row.paused_reason else ("off", "")


def _schedule_of(row: ScenarioRow) -> str:
    said = row.schedule.get("schedule")
    if said is None:
        return "on demand"
    if isinstance(said, str):
        return said
    zone = row.schedule.get("timezone", "UTC")
    return ", ".join(f"{key} {value}" for key, value in said.items()) + f" ({zone})"


def _problems(found: Sequence[Any]) -> Html | None:
    if not found:
        return None
    is_bad = any(problem.severity == "error" for problem in found)
    lines = [li(code(problem.path), " ", problem.message) for problem in found[:30]]
    more = len(found) - 30
    return div(
        b(counted(len(found), "problem")),
        ul(lines, li(f"… {more} more") if more > 0 else None),
        class_=f"note {'bad' if is_bad else 'warn'}",
    )


def _outline(body: str) -> Html:
    try:
        scenario = read_scenario(body)
    except ScenarioInvalid as error:
        return span(error.message, class_="soft")
    return _flow(scenario.flow) if scenario.flow else span("Nothing yet.", class_="soft")


def _flow(flow: tuple[Module, ...]) -> Html:
    return ul([li(_module(module)) for module in flow], class_="flow")


def _module(module: Module) -> Html:
    inside: list[Html] = []
    for number, route in enumerate(module.routes, 1):
        name = route.name or ("otherwise" if route.is_fallback else f"route {number}")
        inside.append(li(div(name, class_="route"), _flow(route.flow)))
    if module.flow:
        inside.append(li(_flow(module.flow)))
    if module.on_error is not None:
        inside.append(li(div("on error", class_="route"), _flow(module.on_error)))
    return html(
        span(
            span(module.id, class_="mono soft"),
            b(module.name or module.module),
            span(module.module, class_="mono soft") if module.name else None,
            span("switched off", class_="soft small") if module.is_disabled else None,
            class_="box",
        ),
        ul(inside, class_="flow") if inside else None,
    )

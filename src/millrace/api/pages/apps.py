"""The catalogue of apps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Response

from millrace.api.pages.html import (
    Html,
    a,
    b,
    code,
    details,
    div,
    h1,
    h3,
    img,
    li,
    p,
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
from millrace.api.pages.layout import counted, page
from millrace.api.pages.shared import Id, Person
from millrace.api.policy import By, Routes, allows
from millrace.api.shapes import The
from millrace.errors import NotFound

routes = Routes()


@routes.get("/apps")
@allows("apps.read")
async def apps_page(runtime: The, session: Person) -> Response:
    """The catalogue."""
    cards = [
        a(
            img(src=f"/apps/{app.name}/icon.svg", alt="", loading="lazy"),
            div(
                h3(app.manifest.label),
                p(app.manifest.description),
                span(counted(len(app.module_names), "module"), class_="small soft"),
            ),
            href=f"/apps/{app.name}",
            class_="app card",
        )
        for app in runtime.catalog.apps()
    ]
    return page(
        "Apps",
        h1("Apps"),
        p("What scenarios can be made of.", class_="lead"),
        div(cards, class_="grid"),
        session=session,
        here="/apps",
    )


@routes.get("/apps/{name}")
@allows("apps.read")
async def app_page(runtime: The, session: Person, name: Id) -> Response:
    """One app and its modules."""
    app = runtime.catalog.app(name)
    if app is None:
        raise NotFound(f"There is no app {name}.")
    modules = [
        details(
            summary(
                span(spec.name, class_="mono soft id"),
                span(spec.manifest.label, class_="name"),
                span(spec.manifest.kind, class_="soft small"),
            ),
            div(
                div(
                    p(spec.manifest.description),
                    _parameters(spec.manifest.parameters),
                    class_="wide",
                ),
                class_="body",
            ),
            class_="step module",
        )
        for spec in app.modules()
    ]
    return page(
        app.manifest.label,
        div(a("Apps", href="/apps"), " / ", class_="crumbs"),
        h1(app.manifest.label),
        p(app.manifest.description, class_="lead"),
        div(ul([li(module) for module in modules], class_="steps"), class_="card"),
        session=session,
        here="/apps",
    )


@routes.get("/apps/{name}/icon.svg")
@allows("apps.read")
async def app_icon(runtime: The, by: By, name: Id) -> Response:
    """An app's icon."""
    app = runtime.catalog.app(name)
    if app is None or not (app.folder / "icon.svg").is_file():
        raise NotFound(f"There is no icon of {name}.")
    # A drawing may hold a script: shown as an image it is not run, and opened it may do nothing.
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cache-Control": "private, max-age=3600",
    }
    content = (app.folder / "icon.svg").read_bytes()
    return Response(content, media_type="image/svg+xml", headers=headers)


def _parameters(parameters: Sequence[Any]) -> Html | None:
    if not parameters:
        return None
    lines = [
        tr(
            td(code(parameter.name), " ", span("required", class_="small soft"))
            if parameter.required
            else td(code(parameter.name)),
            td(parameter.type, class_="soft"),
            td(b(parameter.label), div(parameter.help, class_="small soft")),
        )
        for parameter in parameters
    ]
    return table(thead(tr(th("Parameter"), th("Type"), th("Meaning"))), tbody(lines))

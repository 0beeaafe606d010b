"""The style sheet, the icon, and what people see of an error."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from millrace.api.pages.html import a, div, h1, html, p
from millrace.api.pages.layout import page, stylesheet, wheel
from millrace.api.pages.shared import Id
from millrace.api.policy import PUBLIC, Routes, allows
from millrace.errors import NotFound

routes = Routes()


@routes.get("/assets/{name}")
@allows(PUBLIC)
async def asset(name: Id) -> Response:
    """The style sheet and the icon; their addresses change when they do."""
    path, content = stylesheet()
    if path == f"/assets/{name}":
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, media_type="text/css", headers=headers)
    if name == "icon.svg":
        drawn = wheel().replace(
            "<svg",
            '<svg xmlns="http://www.w3.org/2000/svg" fill="none" stroke="#0b8a86" '
            'stroke-width="2" stroke-linecap="round"',
        )
        return Response(drawn, media_type="image/svg+xml")
    raise NotFound(f"There is no {name}.")


def error_page(request: Request, status: int, message: str) -> Response:
    """What people see of an error; whoever is not signed in is asked to."""
    if status == 401 and request.method == "GET":
        return RedirectResponse("/sign-in", status_code=303)
    session = getattr(request.state, "session", None)
    content = html(
        h1("That did not work" if status != 404 else "Not found"),
        div(message, class_="note bad"),
        p(a("Back to the scenarios", href="/")),
    )
    return page("Error", content, session=session, status=status)

"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from millrace.api.pages.html import Html, button, code, div, form, h1, input_, p
from millrace.api.pages.layout import page, wheel
from millrace.api.pages.shared import Person
from millrace.api.policy import PUBLIC, Routes, allows, check_same_site, cookie_name, keep_signed_in
from millrace.api.shapes import The

routes = Routes()


@routes.get("/sign-in")
@allows(PUBLIC)
async def sign_in_page(token: Annotated[str, Query(max_length=200)] = "") -> Response:
    """The page that a sign-in link leads to. Looking at it uses nothing up."""
    return page("Sign in", _door(token), session=None)


@routes.post("/sign-in")
@allows(PUBLIC)
async def sign_in(
    runtime: The, request: Request, token: Annotated[str, Form(max_length=200)]
) -> Response:
    """Use the link."""
    check_same_site(request.headers, request.app.state.address)
    secret, _ = await runtime.users.sign_in(token.strip())
    answer = RedirectResponse("/", status_code=303)
    keep_signed_in(request, answer, secret)
    return answer


@routes.post("/sign-out")
@allows("account.read")
async def sign_out(runtime: The, request: Request, session: Person) -> Response:
    """End the session."""
    name = cookie_name(request.app.state.is_secure)
    await runtime.users.sign_out(request.cookies.get(name, ""))
    answer = RedirectResponse("/sign-in", status_code=303)
    answer.headers["Clear-Site-Data"] = '"cookies", "storage", "cache"'
    answer.delete_cookie(name, path="/", secure=request.app.state.is_secure, httponly=True)
    return answer


def _door(token: str) -> Html:
    how = p(
        "Make a link on the machine that runs Millrace: ",
        code("millrace owner-link"),
        class_="soft",
    )
    enter = form(
        p("This link signs you in once.", class_="soft"),
        input_(type="hidden", name="token", value=token),
        button("Sign in", class_="main"),
        method="post",
        action="/sign-in",
    )
    return div(div(wheel(), h1("Millrace"), enter if token else how, class_="card"), class_="door")

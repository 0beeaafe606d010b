"""What every built-in page has, and the small parts that several share."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi.responses import HTMLResponse

from millrace.api.pages.html import (
    Html,
    a,
    body,
    button,
    circle,
    div,
    form,
    head,
    header,
    html,
    input_,
    link,
    main,
    meta,
    nav,
    path,
    root,
    span,
    svg,
    time,
    title,
)
from millrace.runtime.users import Session

NAVIGATION = (
    ("/", "Scenarios"),
    ("/executions", "History"),
    ("/incomplete", "Incomplete"),
    ("/apps", "Apps"),
)

TONES = {
    "success": "good",
    "active": "good",
    "resolved": "good",
    "warning": "warn",
    "waiting": "warn",
    "incomplete": "warn",
    "paused": "warn",
    "error": "bad",
    "stopped": "bad",
}


@cache
def stylesheet() -> tuple[str, bytes]:
    """The style sheet: its path, which changes with it, and its bytes."""
    content = files("millrace.api.pages").joinpath("style.css").read_bytes()
    return f"/assets/style.{hashlib.sha256(content).hexdigest()[:12]}.css", content


def page(
    name: str, *content: Any, session: Session | None, here: str = "", status: int = 200
) -> HTMLResponse:
    """A whole page.

    Args:
        name: What the browser's tab says.
        content: What is in it.
        session: Who looks at it; None: nobody is signed in.
        here: The address in the navigation that it belongs to.
        status: The HTTP status.
    """
    whole = root(
        head(
            meta(charset="utf-8"),
            meta(name="viewport", content="width=device-width, initial-scale=1"),
            title(f"{name} · Millrace"),
            link(rel="stylesheet", href=stylesheet()[0]),
            link(rel="icon", href="/assets/icon.svg", type="image/svg+xml"),
        ),
        body(_top(session, here) if session else None, main(*content, id="content")),
        lang="en",
    )
    return HTMLResponse("<!doctype html>" + whole, status_code=status)


def wheel() -> Html:
    """The mark of Millrace: a mill wheel in running water."""
    return svg(
        circle(cx="12", cy="10", r="6.5"),
        path(d="M12 3.5v13M5.5 10h13M7.4 5.4l9.2 9.2M16.6 5.4l-9.2 9.2"),
        path(d="M2.5 20.5c2-1.6 4-1.6 6.3 0s4.3 1.6 6.4 0 4.2-1.6 6.3 0"),
        viewBox="0 0 24 24",
        aria_hidden="true",
    )


def pill(word: str, tone: str | None = None) -> Html:
    """A state as a coloured word."""
    return span(word, class_=f"pill {tone if tone is not None else TONES.get(word, '')}".strip())


def act(to: str, label: str, session: Session, *, kind: str = "", **values: str) -> Html:
    """A button that does something: a form with the session's token."""
    fields = [input_(type="hidden", name=name, value=value) for name, value in values.items()]
    return form(
        input_(type="hidden", name="csrf", value=session.csrf),
        fields,
        button(label, class_=kind or None),
        method="post",
        action=to,
    )


def when(at_ms: int | None, now: datetime) -> Html:
    """An instant as people say it; the exact one is in the tooltip."""
    if at_ms is None:
        return span("—", class_="soft")
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return time(_distance(at, now), datetime=at.isoformat(), title=exact, class_="nowrap")


def span_of(duration_ms: float | None) -> str:
    """A duration: ``340 ms``, ``2.1 s``, ``3 min 20 s``."""
    if duration_ms is None:
        return "—"
    if duration_ms < 1000:
        return f"{duration_ms:.0f} ms" if duration_ms >= 10 else f"{duration_ms:.1f} ms"
    seconds = duration_ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size_of(size_bytes: int) -> str:
    """A size: ``512 B``, ``1.4 kB``, ``20.3 MB``."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def counted(number: int, word: str) -> str:
    """``1 bundle``, ``2 bundles``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def pager(to: str, next_: str | int | None, label: str = "Older") -> Html:
    """The way to the next part of a list."""
    return div(a(f"{label} →", href=f"{to}{next_}"), class_="pager") if next_ else html()


def _top(session: Session, here: str) -> Html:
    links = [
        a(label, href=to, aria_current="page" if to == here else None) for to, label in NAVIGATION
    ]
    return html(
        a("Skip to content", href="#content", class_="skip"),
        header(
            div(
                a(wheel(), "Millrace", href="/", class_="brand"),
                nav(links, aria_label="Main"),
                div(
                    span(session.user_name),
                    act("/sign-out", "Sign out", session, kind="plain"),
                    class_="who",
                ),
            ),
            class_="top",
        ),
    )


def _distance(at: datetime, now: datetime) -> str:
    gone = now - at
    is_ahead = gone < timedelta(0)
    seconds = abs(gone.total_seconds())
    if seconds < 5:
        return "now"
    for limit, size, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            text = f"{int(seconds // size)} {word}"
            return f"in {text}" if is_ahead else f"{text} ago"
    if seconds < 7 * 86400:
        text = counted(int(seconds // 86400), "day")
        return f"in {text}" if is_ahead else f"{text} ago"
    return at.strftime("%Y-%m-%d %H:%M")

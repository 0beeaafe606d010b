from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from millrace.api.pages.html import div, html, input_, p
from millrace.api.pages.layout import size_of, span_of
from millrace.api.pages.tree import bundles, tree
from millrace.expressions.values import Binary

CANARY = "<script>window.__x=1</script><img src=x onerror=alert(1)>\"'"


def test_text_and_attributes_are_escaped_and_elements_are_not() -> None:
    made = div(p("a < b"), CANARY, title=CANARY)
    assert "<script>" not in made
    assert "<img" not in made
    assert made.startswith('<div title="&lt;script&gt;')
    assert "<p>a &lt; b</p>" in made


def test_what_is_none_or_false_is_left_out() -> None:
    assert div(None, False, ["a", None, 0], class_=None, hidden=True) == "<div hidden>a0</div>"
    assert input_(type="text") == '<input type="text">'
    assert html() == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (True, "true"),
        (3.5, "3.5"),
        ("", "empty text"),
        ([], "empty array"),
        ({}, "empty"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (b"abc", "3 bytes: YWJj"),
        (Binary(id="0" * 64, name="a.png", size_bytes=2000, media_type="image/png"), "2.0 kB"),
        ("x" * 5000, "1,000 more characters"),
        ({"a": {"b": CANARY}}, "&lt;script&gt;"),
    ],
)
def test_every_kind_of_value_is_shown(value: Any, said: str) -> None:
    shown = tree(value)
    assert said in shown
    assert "<script>" not in shown


def test_a_value_that_is_nested_too_deep_or_too_long_ends() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"a": deep}
    assert "deeper than is shown" in tree(deep)
    assert "800 more" in tree(list(range(1000)))
    assert "30 more" in bundles([{"n": n} for n in range(50)])


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(0.04, "0.0 ms"), (12, "12 ms"), (2100, "2.1 s"), (200_000, "3 min 20 s"), (None, "—")],
)
def test_durations(milliseconds: float | None, said: str) -> None:
    assert span_of(milliseconds) == said


def test_sizes() -> None:
    assert [size_of(n) for n in (5, 1500, 2 * 10**6, 3 * 10**9)] == [
        "5 B", "1.5 kB", "2.0 MB", "3.0 GB",
    ]  # fmt: skip


async def test_nothing_that_people_write_becomes_html(runtime: Any, owner: Any) -> None:
    by = await runtime.users.owner()
    text = (
        "millrace: 1\nflow:\n"
        "  - {id: 1, module: 'json:parse', name: '<script>name</script>',"
        ' parameters: {json: \'{"a": "<script>data</script>"}\'}}\n'
        "  - {id: 2, module: 'json:parse', parameters: {json: '<script>bad</script>'}}\n"
    )
    saved = await runtime.scenarios.create(by=by, name=CANARY, text=text)
    version = await runtime.scenarios.text(saved.scenario.id, by=by)
    program = await runtime.programs.version(by.team_id, version.id)
    execution_id, done = await runtime.executions.start(program)
    await done
    (row,) = await runtime.incomplete.page(by=by)
    for path in (
        "/",
        f"/scenarios/{saved.scenario.id}",
        "/executions",
        f"/executions/{execution_id}",
        "/incomplete",
        f"/incomplete/{row.id}",
    ):
        page = await owner.get(path)
        assert page.status_code == 200, path
        assert "<script" not in page.text, path
        assert "<img src=x" not in page.text, path
    shown = (await owner.get(f"/executions/{execution_id}")).text
    assert "&lt;script&gt;data" in shown


async def test_a_scenario_is_run_and_switched_from_its_page(runtime: Any, owner: Any) -> None:
    by = await runtime.users.owner()
    text = "millrace: 1\nflow:\n  - {id: 1, module: 'json:parse', parameters: {json: '{}'}}\n"
    saved = await runtime.scenarios.create(by=by, name="Small", text=text)
    path = f"/scenarios/{saved.scenario.id}"
    run = await owner.ask("POST", f"{path}/run", data={"csrf": owner.csrf})
    assert run.headers["location"].startswith("/executions/")
    await owner.ask("POST", f"{path}/activate", data={"csrf": owner.csrf})
    assert "Switch off" in (await owner.get(path)).text
    await owner.ask("POST", f"{path}/deactivate", data={"csrf": owner.csrf})
    assert "Switch on" in (await owner.get(path)).text


async def test_the_catalogue_shows_every_app_with_its_icon(runtime: Any, owner: Any) -> None:
    page = (await owner.get("/apps")).text
    for app in runtime.catalog.apps():
        assert app.manifest.label in page
        assert (await owner.get(f"/apps/{app.name}")).status_code == 200
    icon = await owner.get("/apps/json/icon.svg")
    assert icon.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in icon.headers["content-security-policy"]

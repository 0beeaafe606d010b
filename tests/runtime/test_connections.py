from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from millrace import practice
from millrace.appkit.guard import Guard
from millrace.errors import Conflict, InvalidConfigurationError, NotFound, RequestInvalid
from millrace.runtime.wire import build

FIELDS = {"username": "ada", "password": "hunter2", "hosts": "shop.example"}


async def made(runtime: Any, owner: Any, **change: Any) -> Any:
    fields = {"app": "http", "type": "basic", "name": "shop", "fields": FIELDS, **change}
    return await runtime.connections.create(by=owner, **fields)


async def test_secrets_go_in_and_never_come_out(runtime: Any, owner: Any, tmp_path: Path) -> None:
    view = await made(runtime, owner)
    assert view.fields["username"] == "ada"
    assert "hunter2" not in repr(await runtime.connections.all(by=owner))
    assert "hunter2" not in repr(await runtime.connections.get(view.id, by=owner))
    assert view.hosts == ["shop.example"]
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("millrace.db*"))
    assert b"hunter2" not in on_disk


async def test_a_module_gets_the_fields_and_only_a_module_made_for_them(
    runtime: Any, owner: Any
) -> None:
    await made(runtime, owner)
    opened = await runtime.resources.connection(owner.team_id, "shop", used_by="http:request")
    assert opened.fields["password"] == "hunter2"
    assert "hunter2" not in repr(opened)
    with pytest.raises(InvalidConfigurationError, match="of the kind http:basic"):
        await runtime.resources.connection(owner.team_id, "shop", used_by="email:send")


async def test_another_team_cannot_open_it_by_name_or_id(
    runtime: Any, owner: Any, stranger: Any
) -> None:
    view = await made(runtime, owner)
    for name in ("shop", view.id):
        with pytest.raises(InvalidConfigurationError, match="no connection"):
            await runtime.resources.connection(stranger.team_id, name, used_by="http:request")
    for deed in (
        runtime.connections.get(view.id, by=stranger),
        runtime.connections.change(view.id, by=stranger, name="mine"),
        runtime.connections.test(view.id, by=stranger),
        runtime.connections.delete(view.id, by=stranger),
    ):
        with pytest.raises(NotFound):
            await deed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"app": "nowhere"}, "there is no app"),
        ({"type": "nowhere"}, "there is no"),
        ({"fields": {"username": "a", "pasword": "b", "hosts": "x"}}, "pasword"),
        ({"name": " "}, "needs a name"),
    ],
)
async def test_a_wrong_connection_is_refused(
    runtime: Any, owner: Any, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestInvalid, match=message):
        await made(runtime, owner, **change)


async def test_two_of_a_team_cannot_have_the_same_name(runtime: Any, owner: Any) -> None:
    await made(runtime, owner)
    with pytest.raises(Conflict, match="'shop' already"):
        await made(runtime, owner)


async def test_a_changed_connection_is_opened_anew(runtime: Any, owner: Any) -> None:
    view = await made(runtime, owner)
    await runtime.resources.connection(owner.team_id, "shop", used_by="http:request")
    await runtime.connections.change(view.id, by=owner, fields={"password": "better"})
    opened = await runtime.resources.connection(owner.team_id, "shop", used_by="http:request")
    assert opened.fields["password"] == "better"
    assert opened.fields["username"] == "ada"


async def test_the_secret_does_not_follow_to_another_host(runtime: Any, owner: Any) -> None:
    view = await made(runtime, owner)
    with pytest.raises(RequestInvalid, match="another host"):
        await runtime.connections.change(view.id, by=owner, fields={"hosts": "evil.example"})
    changed = await runtime.connections.change(
        view.id, by=owner, fields={"hosts": "other.example", "password": "again"}
    )
    assert changed.hosts == ["other.example"]


async def test_one_that_is_used_is_not_deleted_by_accident(runtime: Any, owner: Any) -> None:
    view = await made(runtime, owner)
    text = (
        "millrace: 1\nname: Uses it\nflow:\n"
        "  - {id: 1, module: 'http:request', connection: shop, parameters: {url: 'https://x'}}\n"
    )
    saved = await runtime.scenarios.create(by=owner, text=text)
    using = [{"id": saved.scenario.id, "name": "Uses it"}]
    assert await runtime.connections.used_by(view.id, by=owner) == using
    with pytest.raises(Conflict, match="Uses it"):
        await runtime.connections.delete(view.id, by=owner)
    assert await runtime.connections.delete(view.id, by=owner, force=True) == using
    assert await runtime.connections.all(by=owner) == []


@pytest.fixture
async def service() -> AsyncIterator[Any]:
    service = await practice.start()
    yield service
    await service.stop()


async def test_a_test_asks_the_service(tmp_path: Path, service: Any) -> None:
    runtime = await build(tmp_path, guard=Guard(allow=[("127.0.0.1/32", None)]))
    try:
        owner = await runtime.users.ensure_owner()
        fields = {"host": service.host, "port": service.imap_port, "security": "none"}
        good = await made(
            runtime,
            owner,
            app="email",
            type="imap",
            name="good",
            fields={**fields, "user": service.user, "password": service.password},
        )
        bad = await made(
            runtime,
            owner,
            app="email",
            type="imap",
            name="bad",
            fields={**fields, "user": service.user, "password": "wrong"},
        )
        tested = await runtime.connections.test(good.id, by=owner)
        assert (tested.problem, tested.account) == (None, service.user)
        assert tested.checked_at_ms is not None
        refused = await runtime.connections.test(bad.id, by=owner)
        assert refused.problem
        assert "wrong" not in refused.problem
    finally:
        await runtime.close()

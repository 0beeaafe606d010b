from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from millrace.errors import NotAllowed, NotFound, NotSignedIn, RequestInvalid


async def test_the_owner_is_made_once(runtime: Any) -> None:
    assert await runtime.users.owner() is None
    first = await runtime.users.ensure_owner()
    second = await runtime.users.ensure_owner()
    assert first == second
    assert first.role == "owner"


async def test_a_link_signs_in_exactly_once(runtime: Any, owner: Any) -> None:
    link = await runtime.users.create_sign_in_link(by=owner)
    cookie, session = await runtime.users.sign_in(link)
    assert session.actor.user_id == owner.user_id
    assert (await runtime.users.session(cookie)).csrf == session.csrf
    with pytest.raises(NotSignedIn, match="owner-link"):
        await runtime.users.sign_in(link)


async def test_a_link_is_too_old_after_fifteen_minutes(
    runtime: Any, owner: Any, clock: Any
) -> None:
    link = await runtime.users.create_sign_in_link(by=owner)
    clock.move(minutes=15, seconds=1)
    with pytest.raises(NotSignedIn):
        await runtime.users.sign_in(link)


async def test_a_session_ends_when_nobody_uses_it_for_twenty_minutes(
    runtime: Any, owner: Any, clock: Any
) -> None:
    cookie, _ = await runtime.users.sign_in(await runtime.users.create_sign_in_link(by=owner))
    clock.move(minutes=19, seconds=59)
    await runtime.users.session(cookie, is_active=True)
    clock.move(minutes=19, seconds=59)
    await runtime.users.session(cookie, is_active=False)
    clock.move(seconds=2)
    with pytest.raises(NotSignedIn):
        await runtime.users.session(cookie)


async def test_a_session_ends_after_twelve_hours_whatever_one_does(
    runtime: Any, owner: Any, clock: Any
) -> None:
    cookie, _ = await runtime.users.sign_in(await runtime.users.create_sign_in_link(by=owner))
    for _ in range(47):
        clock.move(minutes=15)
        await runtime.users.session(cookie)
    clock.move(minutes=16)
    with pytest.raises(NotSignedIn):
        await runtime.users.session(cookie)


async def test_signing_out_ends_the_session(runtime: Any, owner: Any) -> None:
    cookie, _ = await runtime.users.sign_in(await runtime.users.create_sign_in_link(by=owner))
    await runtime.users.sign_out(cookie)
    with pytest.raises(NotSignedIn):
        await runtime.users.session(cookie)


@pytest.mark.parametrize("secret", ["", "garbage", "mlr_garbage", "ü"])
async def test_a_secret_that_never_was_opens_nothing(runtime: Any, owner: Any, secret: str) -> None:
    with pytest.raises(NotSignedIn):
        await runtime.users.session(secret)
    with pytest.raises(NotSignedIn):
        await runtime.users.by_token(secret)


async def test_a_token_acts_until_it_is_removed(runtime: Any, owner: Any) -> None:
    secret, row = await runtime.users.create_token(by=owner, name="ci")
    actor = await runtime.users.by_token(secret)
    assert (actor.team_id, actor.role, actor.via) == (owner.team_id, "owner", "token")
    assert secret not in repr(await runtime.users.tokens(by=owner))
    await runtime.users.remove_token(row.id, by=owner)
    with pytest.raises(NotSignedIn):
        await runtime.users.by_token(secret)


async def test_a_token_ends_when_it_was_made_to(runtime: Any, owner: Any, clock: Any) -> None:
    secret, _ = await runtime.users.create_token(by=owner, name="ci", expires_in=timedelta(days=1))
    clock.move(days=1)
    with pytest.raises(NotSignedIn):
        await runtime.users.by_token(secret)


async def test_a_token_may_do_only_what_it_was_made_for(runtime: Any, owner: Any) -> None:
    secret, _ = await runtime.users.create_token(
        by=owner, name="reader", scopes=["scenarios.run", "*.read"]
    )
    actor = await runtime.users.by_token(secret)
    assert actor.may("scenarios.run")
    assert actor.may("connections.read")
    assert not actor.may("scenarios.change")
    with pytest.raises(NotAllowed, match="not made for"):
        actor.authorize("tokens.change")


async def test_a_token_cannot_make_one_that_may_more(runtime: Any, owner: Any) -> None:
    secret, _ = await runtime.users.create_token(by=owner, name="a", scopes=["tokens.*"])
    actor = await runtime.users.by_token(secret)
    with pytest.raises(NotAllowed):
        await runtime.users.create_token(by=actor, name="b", scopes=["*"])


async def test_an_unknown_scope_is_refused(runtime: Any, owner: Any) -> None:
    with pytest.raises(RequestInvalid, match=r"scenarios\.fly"):
        await runtime.users.create_token(by=owner, name="a", scopes=["scenarios.fly"])


async def test_another_team_cannot_remove_a_token(runtime: Any, owner: Any, stranger: Any) -> None:
    _, row = await runtime.users.create_token(by=owner, name="ci")
    with pytest.raises(NotFound):
        await runtime.users.remove_token(row.id, by=stranger)

from __future__ import annotations

import pytest

from millrace.errors import NotAllowed
from millrace.runtime.actor import ACTIONS, ROLES, Actor


def actor(role: str, **more: object) -> Actor:
    return Actor(team_id="t", user_id="u", role=role, via="session", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_least_one_may(role: str, action: str) -> None:
    assert actor(role).may(action) == (ROLES.index(role) >= ROLES.index(ACTIONS[action]))


def test_a_viewer_is_told_which_role_is_needed() -> None:
    with pytest.raises(NotAllowed, match="needs editor"):
        actor("viewer").authorize("scenarios.change")


def test_a_scope_never_gives_more_than_the_role() -> None:
    assert not actor("viewer", scopes=frozenset({"*"})).may("scenarios.run")


def test_an_action_that_does_not_exist_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        actor("owner").may("scenarios.fly")

"""Who asks, and what they may do: the one place where that is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from millrace.errors import NotAllowed

Role = Literal["viewer", "operator", "editor", "owner"]
Via = Literal["session", "token", "command line", "system"]

ROLES: tuple[Role, ...] = ("viewer", "operator", "editor", "owner")
"""Each may do what those before it may."""

ACTIONS: dict[str, Role] = {
    "account.read": "viewer",
    "account.change": "viewer",
    "apps.read": "viewer",
    "connections.change": "editor",
    "connections.read": "viewer",
    "connections.test": "operator",
    "data_stores.change": "editor",
    "data_stores.read": "viewer",
    "data_stores.write_records": "operator",
    "events.read": "viewer",
    "history.cancel": "operator",
    "history.read": "viewer",
    "incomplete.change": "operator",
    "incomplete.read": "viewer",
    "scenarios.activate": "operator",
    "scenarios.change": "editor",
    "scenarios.delete": "editor",
    "scenarios.read": "viewer",
    "scenarios.run": "operator",
    "tokens.change": "editor",
    "tokens.read": "viewer",
    "users.change": "owner",
    "webhooks.change": "editor",
    "webhooks.read": "viewer",
}
"""Everything that can be done, and the least role that may. A token's scopes are these names,
``noun.*``, ``*.read`` or ``*``."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody, or something, acting in one team."""

    team_id: str
    user_id: str | None
    role: Role
    via: Via
    scopes: frozenset[str] | None = None
    """What a token was made for; None: whatever the role allows."""

    def may(self, action: str) -> bool:
        """Whether the action is allowed.

        Raises:
            KeyError: there is no such action; a mistake of ours, never of the caller.
        """
        least = ACTIONS[action]
        if ROLES.index(self.role) < ROLES.index(least):
            return False
        if self.scopes is None:
            return True
        noun, _, verb = action.partition(".")
        return not self.scopes.isdisjoint({action, f"{noun}.*", f"*.{verb}", "*"})

    def authorize(self, action: str) -> None:
        """Go on only if the action is allowed.

        Raises:
            NotAllowed: it is not.
        """
        if not self.may(action):
            raise NotAllowed(
                f"Your role here is {self.role}; {action.replace('.', ': ').replace('_', ' ')} "
                f"needs {ACTIONS[action]}."
                if self.scopes is None or ROLES.index(self.role) < ROLES.index(ACTIONS[action])
                else f"This token was not made for {action}. Make one with that scope."
            )

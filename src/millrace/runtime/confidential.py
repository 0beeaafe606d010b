"""The key of a confidential execution: made with it, kept beside it, destroyed at its end."""

from __future__ import annotations

import os
from collections.abc import Mapping

from millrace.runtime.journal import Sealer
from millrace.runtime.seals import state_context
from millrace.storage.store import StateWrite
from millrace.vault.seal import KEY_BYTES
from millrace.vault.seal import Sealer as KeySealer

SECRET = "key/"  # noqa: S105 - a name, not a key
"""Begins the names under which the keys of confidential executions are kept."""


class ExecutionKey:
    """Seals what one execution needs after a restart, and nothing else.

    Args:
        team: Seals the key itself.
        team_id: Of the row that keeps the key.
        scenario_id: Of the row that keeps the key.
        execution_id: Whose key it is.
    """

    def __init__(self, team: Sealer, *, team_id: str, scenario_id: str, execution_id: str) -> None:
        self._team = team
        self._team_id = team_id
        self._scenario_id = scenario_id
        self._execution_id = execution_id
        self._name = f"{SECRET}{execution_id}"
        self._key = os.urandom(KEY_BYTES)
        self.is_kept = False
        """It is on its way to the disk, or there."""

    def sealer(self) -> Sealer:
        """Seals with this key."""
        return KeySealer(self._key, scope=self._execution_id.encode())

    def keep(self) -> StateWrite:
        """The row that keeps the key, for as long as the execution may have to be resumed."""
        self.is_kept = True
        return self._row(self._team.seal(self._key, self._context))

    def destroy(self) -> StateWrite:
        """What removes the key; nothing sealed with it can be read afterwards."""
        return self._row(None)

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Take the key that was kept in place of the new one."""
        self._key = self._team.open(states[self._name], self._context)
        self.is_kept = True

    @property
    def _context(self) -> bytes:
        return state_context(self._scenario_id, self._name)

    def _row(self, body: bytes | None) -> StateWrite:
        return StateWrite(
            team_id=self._team_id, scenario_id=self._scenario_id, module=self._name, body=body
        )

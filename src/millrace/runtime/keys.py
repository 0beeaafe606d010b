"""The sealers and files of teams, kept open while the installation runs."""

from __future__ import annotations

from collections.abc import Callable

from millrace.appkit.call import Files
from millrace.errors import VaultError
from millrace.storage.users import Users
from millrace.vault.keyring import Vault
from millrace.vault.seal import Sealer


class TeamKeys:
    """`services.TeamVault`: one sealer and one view of the files for each team.

    Args:
        vault: Opens wrapped keys.
        new_files: Makes the view of a team's files.
    """

    def __init__(self, vault: Vault, new_files: Callable[[str, Sealer], Files]) -> None:
        self._vault = vault
        self._new_files = new_files
        self._sealers: dict[str, Sealer] = {}
        self._files: dict[str, Files] = {}

    async def load(self, users: Users) -> None:
        """Open the keys of all teams; called once at the start."""
        for team in await users.teams():
            self.add(team.id, await users.wrapped_key(team.id))

    def new(self, team_id: str) -> bytes:
        """Make a key for a new team; answers it wrapped, for the store."""
        wrapped = self._vault.new_team_key(team_id)
        self.add(team_id, wrapped)
        return wrapped

    def add(self, team_id: str, wrapped: bytes) -> None:
        """Open a team's key and keep it open."""
        self._sealers[team_id] = self._vault.team(team_id, wrapped)

    def sealer(self, team_id: str) -> Sealer:
        """What seals with the team's key.

        Raises:
            VaultError: the team has no key: its data was destroyed, or it never existed.
        """
        sealer = self._sealers.get(team_id)
        if sealer is None:
            raise VaultError(f"The team {team_id} has no key; its data cannot be read.")
        return sealer

    def files(self, team_id: str) -> Files:
        """The team's files."""
        files = self._files.get(team_id)
        if files is None:
            files = self._files[team_id] = self._new_files(team_id, self.sealer(team_id))
        return files

    def forget(self, team_id: str) -> None:
        """The team's key was destroyed."""
        self._sealers.pop(team_id, None)
        self._files.pop(team_id, None)

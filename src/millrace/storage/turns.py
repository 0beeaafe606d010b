"""Whose events are claimed next: teams take turns, then the scenarios of a team.

One team's flood must not keep another's single event waiting. Each claim begins behind the team,
and within it behind the scenario, at which the last one ended; everybody with due events gets an
equal share of the claim, and what some do not need goes to the others. The teams and scenarios that
have something due are found by skipping along the index, so that a claim costs by what it takes and
not by what waits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

from millrace.storage.statements import Statement

Row = tuple[Any, ...]


class Turns:
    """Remembers whose turn it is. Nothing is lost when it is forgotten."""

    def __init__(self, sql: dict[str, Statement]) -> None:
        self._next_team = sql["next_team"].sql
        self._next_scenario = sql["next_scenario"].sql
        self._due = sql["due"].sql
        self._team = ""
        self._scenarios: dict[str, str] = {}

    def pick(self, connection: sqlite3.Connection, limit: int, skip: Collection[str]) -> list[Row]:
        """Rows of the events to claim now, at most `limit`."""
        shares = self._shares(connection, limit, skip)
        picked: list[Row] = []
        full: list[tuple[str, str, int]] = []
        for team, scenario, share in shares:
            wanted = min(share, limit - len(picked))
            if wanted == 0:
                break
            rows = connection.execute(self._due, (team, scenario, wanted, 0)).fetchall()
            picked += rows
            self._team = team
            self._scenarios[team] = scenario
            if len(rows) == wanted:
                full.append((team, scenario, wanted))
        for team, scenario, passed in full:
            rest = limit - len(picked)
            if rest == 0:
                break
            picked += connection.execute(self._due, (team, scenario, rest, passed)).fetchall()
        return picked

    def _shares(
        self, connection: sqlite3.Connection, limit: int, skip: Collection[str]
    ) -> list[tuple[str, str, int]]:
        """Who has due events, in the order of their turns, and how many each may take."""
        found: list[tuple[str, list[str]]] = []
        for team in _around(connection, self._next_team, (), self._team, limit):
            last = self._scenarios.get(team, "")
            around = _around(connection, self._next_scenario, (team,), last, limit + len(skip))
            scenarios = [scenario for scenario in around if scenario not in skip]
            if scenarios:
                found.append((team, scenarios))
        self._scenarios = {team: self._scenarios.get(team, "") for team, _ in found}
        shares: list[tuple[str, str, int]] = []
        for team, scenarios in found:
            share = max(1, limit // len(found) // len(scenarios))
            # More scenarios than the team's share: the first ones now, the others in their turn.
            for scenario in scenarios[: max(1, limit // len(found))]:
                shares.append((team, scenario, share))
        return shares


def _around(
    connection: sqlite3.Connection, sql: str, fixed: tuple[str, ...], start: str, limit: int
) -> Iterator[str]:
    """Distinct values behind `start`, then from the beginning up to it; at most `limit`."""
    seen = 0
    for after, end in ((start, None), ("", start)):
        while seen < limit:
            row = connection.execute(sql, (*fixed, after)).fetchone()
            if row is None or (end is not None and row[0] > end):
                break
            after = row[0]
            seen += 1
            yield after

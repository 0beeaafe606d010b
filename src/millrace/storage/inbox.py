"""The inbox as people see it: what waits, and why. Executions use the hot statements."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, func, select, update

from millrace.errors import NotFound
from millrace.storage.database import Database
from millrace.storage.tables import events
from millrace.storage.team_rows import of_team


class WaitingEvent(msgspec.Struct, kw_only=True):
    """An event that is not carried out yet, without its content."""

    id: str
    arrival: int
    kind: str
    state: str
    """waiting | queued | parked | running | held: see `store.EventState`."""

    received_at_ms: int
    due_at_ms: int
    attempts: int
    size_bytes: int


class Inbox:
    """Events that wait, by where they came from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting_at(
        self, team_id: str, *, origin_id: str, after: int = 0, limit: int = 50
    ) -> list[WaitingEvent]:
        """The events of one webhook in order of arrival, beginning behind `after`."""
        columns = [
            events.c[name] for name in WaitingEvent.__struct_fields__ if name != "size_bytes"
        ]
        statement = (
            select(*columns, func.length(events.c.payload).label("size_bytes"))
            .where(
                of_team(events, team_id),
                events.c.origin_id == origin_id,
                events.c.arrival > after,
            )
            .order_by(events.c.arrival)
            .limit(limit)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [WaitingEvent(**row._mapping) for row in rows]

    async def adopt(self, team_id: str, *, origin_id: str, scenario_id: str) -> None:
        """Give a webhook's events that belong to no scenario to one."""
        statement = (
            update(events)
            .where(
                of_team(events, team_id),
                events.c.origin_id == origin_id,
                events.c.scenario_id.is_(None),
            )
            .values(scenario_id=scenario_id)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    async def discard(self, team_id: str, *, origin_id: str, event_id: str) -> None:
        """Take out an event that nobody works on.

        Raises:
            NotFound: it is not there, or being carried out.
        """
        is_it = of_team(events, team_id) & (events.c.id == event_id)
        is_free = (events.c.origin_id == origin_id) & events.c.state.in_(("waiting", "held"))

        def write(connection: Connection) -> None:
            found = connection.execute(
                select(events.c.lane, events.c.arrival).where(is_it, is_free)
            ).first()
            if found is None:
                raise NotFound("This event does not wait here any more, or is being carried out.")
            if found.lane is not None:
                # It was the head of its lane: the next one must not wait for it for ever.
                behind = select(func.min(events.c.arrival)).where(
                    of_team(events, team_id),
                    events.c.lane == found.lane,
                    events.c.arrival > found.arrival,
                )
                connection.execute(
                    update(events)
                    .where(
                        of_team(events, team_id),
                        events.c.arrival == behind.scalar_subquery(),
                        events.c.state == "queued",
                    )
                    .values(state="parked")
                )
            connection.execute(events.delete().where(is_it))

        await self._database.write(write)

"""The inbox as people see it: what waits, and why. Executions use the hot statements."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, func, select, text, update

from millrace.errors import NotFound
from millrace.storage.database import Database
from millrace.storage.store import shard_of
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

    async def still(self, team_id: str, *, scenario_id: str | None, origin_id: str) -> int:
        """How many events of one webhook cannot begin now."""
        is_still = text("state IN ('queued', 'parked', 'held')")  # As the index says it.
        statement = select(func.count()).where(
            is_still,
            of_team(events, team_id),
            events.c.scenario_id == scenario_id,
            events.c.origin_id == origin_id,
        )
        found = await self._database.read(lambda connection: connection.execute(statement).scalar())
        return found or 0

    async def unordered(self, team_id: str, scenario_id: str) -> list[tuple[str, bytes]]:
        """Ids and payloads of the held events of a scenario that belong to no lane."""
        statement = (
            select(events.c.id, events.c.payload)
            .where(
                text("state IN ('queued', 'parked', 'held') AND state = 'held'"),
                of_team(events, team_id),
                events.c.scenario_id == scenario_id,
                events.c.lane.is_(None),
            )
            .order_by(events.c.arrival)
        )
        rows = await self._database.read(lambda connection: connection.execute(statement).all())
        return [(row.id, row.payload) for row in rows]

    async def order(self, team_id: str, lanes: Mapping[str, str]) -> None:
        """Put held events into lanes, by their ids; in a lane they keep their order of arrival."""

        def write(connection: Connection) -> None:
            for id, lane in lanes.items():
                connection.execute(
                    update(events)
                    .where(of_team(events, team_id), events.c.id == id, events.c.state == "held")
                    .values(lane=lane, shard=shard_of(lane))
                )

        await self._database.write(write)

    async def hasten(self, team_id: str, *, lane: str, now_ms: int) -> bool:
        """Make what waits in a lane due now; False when nothing is in it, under way or waiting."""

        def write(connection: Connection) -> bool:
            is_in_it = of_team(events, team_id) & (events.c.lane == lane)
            connection.execute(
                update(events)
                .where(is_in_it, events.c.state.in_(("parked", "held")))
                .values(state="parked", due_at_ms=now_ms)
            )
            return connection.execute(select(events.c.id).where(is_in_it)).first() is not None

        return await self._database.write(write)

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

"""Scenarios: written as drafts, published as versions, activated to run by themselves."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import msgspec

from millrace.appkit.catalog import Catalog
from millrace.clock import Clock
from millrace.errors import NotFound, RequestInvalid, ScenarioInvalid
from millrace.ids import new_id
from millrace.runtime.activity import Activity
from millrace.runtime.actor import Actor
from millrace.runtime.checking import Checker
from millrace.runtime.executions import Executions
from millrace.runtime.journal import milliseconds
from millrace.runtime.portable import needs_of, pin
from millrace.runtime.starting import check_start, checked_inputs
from millrace.runtime.webhooks import Webhooks
from millrace.scenario.formats import read_scenario, write_make, write_native
from millrace.scenario.formats.make_report import Report, compatibility
from millrace.scenario.formats.schedule import write_schedule
from millrace.scenario.model import Scenario, Schedule
from millrace.scenario.problems import Problem
from millrace.storage.database import Database
from millrace.storage.scenarios import ScenarioRow, VersionRow
from millrace.storage.scenarios import Scenarios as Rows
from millrace.work.schedule import next_due

UNNAMED = "Untitled scenario"
LARGEST_BYTES = 10 * 1024 * 1024


class Saved(msgspec.Struct, kw_only=True):
    """What became of a draft."""

    scenario: ScenarioRow
    version: int
    problems: list[Problem]
    """All of them; the draft is kept whatever they say."""


class Imported(msgspec.Struct, kw_only=True):
    """What became of a file."""

    scenario: ScenarioRow
    problems: list[Problem]
    report: Report
    """Module by module: what runs, what needs a connection."""


class Scenarios:
    """The scenarios of each team."""

    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog,
        checker: Checker,
        clock: Clock,
        executions: Executions,
        webhooks: Webhooks,
        activity: Activity,
    ) -> None:
        self._rows = Rows(database)
        self._catalog = catalog
        self._checker = checker
        self._clock = clock
        self._executions = executions
        self._webhooks = webhooks
        self._activity = activity

    # -- reading ---------------------------------------------------------------------------------

    async def page(
        self, *, by: Actor, before: str | None = None, limit: int = 50, is_deleted: bool = False
    ) -> list[ScenarioRow]:
        """The team's scenarios, newest first; or those in the trash."""
        by.authorize("scenarios.read")
        if not is_deleted:
            return await self._rows.page(by.team_id, before=before, limit=limit, deleted_at_ms=None)
        rows = await self._rows.page(by.team_id, before=before, limit=1000)
        return [row for row in rows if row.deleted_at_ms is not None][:limit]

    async def get(self, id: str, *, by: Actor) -> ScenarioRow:
        """One scenario.

        Raises:
            NotFound: the team has no such scenario, or it is in the trash.
        """
        by.authorize("scenarios.read")
        row = await self._rows.get(by.team_id, id)
        if row.deleted_at_ms is not None:
            raise NotFound(f"There is no scenario {id} in this team.")
        return row

    async def find(self, name: str, *, by: Actor) -> ScenarioRow:
        """One scenario by its id or, if only one has it, its name.

        Raises:
            NotFound: there is none, or several have the name.
        """
        by.authorize("scenarios.read")
        named = await self._rows.page(by.team_id, name=name, deleted_at_ms=None, limit=2)
        if len(named) == 1:
            return named[0]
        if named:
            raise NotFound(f"Several scenarios are called {name!r}; give the id.")
        return await self.get(name, by=by)

    async def text(
        self, id: str, *, by: Actor, which: Literal["draft", "published"] | int = "draft"
    ) -> VersionRow:
        """A version of a scenario: the draft, the published one, or one by its number.

        Raises:
            NotFound: there is no such scenario or version.
        """
        row = await self.get(id, by=by)
        if isinstance(which, int):
            found = await self._rows.versions.page(
                by.team_id, scenario_id=id, number=which, limit=1
            )
            if not found:
                raise NotFound(f"The scenario {row.name!r} has no version {which}.")
            return found[0]
        version = row.draft_version_id if which == "draft" else row.published_version_id
        if version is None:
            raise NotFound(f"The scenario {row.name!r} has no {which} version.")
        return await self._rows.versions.get(by.team_id, version)

    async def versions(
        self, id: str, *, by: Actor, before: str | None = None, limit: int = 50
    ) -> list[VersionRow]:
        """The versions of a scenario, newest first.

        Raises:
            NotFound: the team has no such scenario.
        """
        await self.get(id, by=by)
        return await self._rows.versions.page(
            by.team_id, before=before, limit=limit, scenario_id=id
        )

    async def compare(self, id: str, old: int, new: int, *, by: Actor) -> str:
        """What changed from one version to another, as a unified diff.

        Raises:
            NotFound: there is no such scenario or version.
        """
        before = await self.text(id, by=by, which=old)
        after = await self.text(id, by=by, which=new)
        return "\n".join(
            difflib.unified_diff(
                before.body.splitlines(),
                after.body.splitlines(),
                f"version {old}",
                f"version {new}",
                lineterm="",
            )
        )

    async def problems(
        self, id: str, *, by: Actor, which: Literal["draft", "published"] | int = "draft"
    ) -> list[Problem]:
        """What is wrong with a version, now: apps and connections come and go.

        Raises:
            NotFound: there is no such scenario or version.
        """
        version = await self.text(id, by=by, which=which)
        _, problems = await self._checker.read(by.team_id, version.body)
        return problems

    async def export(
        self,
        id: str,
        *,
        by: Actor,
        format: Literal["yaml", "json", "make"] = "yaml",
        which: Literal["draft", "published"] | int = "draft",
    ) -> str:
        """A version as a file: no secrets, no ids of this installation, a list of what it needs.

        Raises:
            NotFound: there is no such scenario or version.
            ScenarioInvalid: the version cannot be read, so only its text can be had.
        """
        row = await self.get(id, by=by)
        scenario = read_scenario((await self.text(id, by=by, which=which)).body)
        scenario = replace(scenario, name=row.name)
        if format == "make":
            return json.dumps(write_make(scenario, self._checker.known()), indent=2)
        return write_native(replace(scenario, needs=needs_of(scenario)), as_json=format == "json")

    # -- writing ---------------------------------------------------------------------------------

    async def create(
        self, *, by: Actor, name: str = "", text: str | None = None, folder: str = ""
    ) -> Saved:
        """Make a scenario, inactive, with a first draft.

        Args:
            by: Who asks.
            name: Empty: the name in the text, if it has one.
            text: The draft; None: an empty scenario.
            folder: Where the list shows it.
        """
        by.authorize("scenarios.change")
        if text is None:
            text = write_native(Scenario(name=name or UNNAMED))
        _check_size(text)
        scenario, problems = await self._checker.read(by.team_id, text)
        now = self._now()
        row = ScenarioRow(
            team_id=by.team_id,
            id=new_id(),
            name=name or (scenario.name if scenario else "") or UNNAMED,
            folder=folder,
            created_at_ms=now,
            created_by=by.user_id,
            updated_at_ms=now,
        )
        await self._rows.add(row)
        number = await self._save(by, row.id, text)
        await self._activity.note(by, "scenarios.create", "scenario", row.id, name=row.name)
        return Saved(scenario=await self.get(row.id, by=by), version=number, problems=problems)

    async def import_(self, content: bytes | str, *, by: Actor, name: str = "") -> Imported:
        """Make a scenario from a file: ours, or an export of Make.

        Raises:
            ScenarioInvalid: it is neither.
        """
        by.authorize("scenarios.change")
        scenario = read_scenario(content, known=self._checker.known())
        report = compatibility(scenario, self._checker.known(), self._catalog.traits)
        saved = await self.create(by=by, name=name, text=write_native(scenario))
        return Imported(scenario=saved.scenario, problems=saved.problems, report=report)

    async def rename(
        self, id: str, *, by: Actor, name: str | None = None, folder: str | None = None
    ) -> ScenarioRow:
        """Give a scenario another name, or put it into another folder.

        Raises:
            NotFound: the team has no such scenario.
            RequestInvalid: the name is empty.
        """
        by.authorize("scenarios.change")
        await self.get(id, by=by)
        if name is not None and not name.strip():
            raise RequestInvalid("A scenario needs a name.")
        values: dict[str, Any] = {"name": name, "folder": folder}
        values = {key: value for key, value in values.items() if value is not None}
        await self._rows.change(by.team_id, id, **values, updated_at_ms=self._now())
        self._changed(by.team_id, id)
        await self._activity.note(by, "scenarios.rename", "scenario", id, **values)
        return await self.get(id, by=by)

    async def save_draft(
        self,
        id: str,
        *,
        by: Actor,
        text: str | None = None,
        scenario: Scenario | None = None,
        note: str = "",
        revision: int | None = None,
    ) -> Saved:
        """Keep a new draft, whatever is wrong with it.

        Args:
            id: Which scenario.
            by: Who asks.
            text: The draft as written, comments and all.
            scenario: The draft as a model, instead of a text.
            note: What the versions list shows beside it.
            revision: The scenario's revision that the draft was made from; None: whatever it is.

        Raises:
            NotFound: the team has no such scenario.
            Conflict: somebody else saved in the meantime.
        """
        by.authorize("scenarios.change")
        await self.get(id, by=by)
        if text is None:
            text = write_native(scenario or Scenario())
        _check_size(text)
        _, problems = await self._checker.read(by.team_id, text)
        number = await self._save(by, id, text, note=note, revision=revision)
        return Saved(scenario=await self.get(id, by=by), version=number, problems=problems)

    async def publish(
        self, id: str, *, by: Actor, force: bool = False, note: str = ""
    ) -> ScenarioRow:
        """Make the draft the version that runs.

        Every module is pinned to the version of today, so that a newer app changes nothing by
        itself. An active scenario goes on with the new version at its next start.

        Args:
            id: Which scenario.
            by: Who asks.
            force: Publish in spite of errors that are not in the way of reading the file.
            note: What the versions list shows beside it.

        Raises:
            NotFound: the team has no such scenario.
            ScenarioInvalid: the draft has errors; all problems are in `problems`.
            Conflict: a webhook that it names feeds another scenario.
        """
        by.authorize("scenarios.change")
        draft = await self.text(id, by=by)
        scenario, problems = await self._checker.read(by.team_id, draft.body)
        errors = [problem for problem in problems if problem.severity == "error"]
        if scenario is None or (errors and not force):
            raise ScenarioInvalid(f"Publishing was refused: {errors[0]}", problems=tuple(errors))
        await self._webhooks.bind(by.team_id, id, _webhooks_of(scenario))
        pinned = pin(scenario, self._catalog)
        version_id = draft.id
        if pinned != scenario:
            version_id = new_id()
            await self._save(by, id, write_native(pinned), note=note, version_id=version_id)
        await self._rows.publish(by.team_id, id, version_id, at_ms=self._now())
        row = await self._rows.get(by.team_id, id)
        values = _schedule_values(pinned)
        if row.is_active:
            values["next_due_at_ms"] = self._first_due(pinned, is_new=False)
        await self._rows.change(by.team_id, id, **values)
        self._changed(by.team_id, id)
        await self._activity.note(by, "scenarios.publish", "scenario", id, version=version_id)
        return await self.get(id, by=by)

    async def activate(self, id: str, *, by: Actor) -> ScenarioRow:
        """Let a scenario start by itself: its schedule begins, what waited at its webhook goes on.

        A scenario that was never published is published first.

        Raises:
            NotFound: the team has no such scenario.
            ScenarioInvalid: it has errors.
            Conflict: a webhook that it names feeds another scenario.
        """
        by.authorize("scenarios.activate")
        row = await self.get(id, by=by)
        if row.published_version_id is None:
            row = await self.publish(id, by=by)
        version = await self.text(id, by=by, which="published")
        scenario, problems = await self._checker.read(by.team_id, version.body)
        errors = tuple(problem for problem in problems if problem.severity == "error")
        if scenario is None or errors:
            raise ScenarioInvalid(f"Activation was refused: {errors[0]}", problems=errors)
        await self._webhooks.bind(by.team_id, id, _webhooks_of(scenario))
        # As long as nothing begins, what waits can still be put in order.
        await self._executions.order_held(by.team_id, id)
        await self._rows.change(
            by.team_id,
            id,
            is_active=True,
            paused_reason=None,
            consecutive_errors=0,
            next_due_at_ms=self._first_due(scenario, is_new=True),
            **_schedule_values(scenario),
        )
        self._changed(by.team_id, id)
        await self._executions.release(by.team_id, id)
        await self._activity.note(by, "scenarios.activate", "scenario", id)
        return await self.get(id, by=by)

    async def deactivate(self, id: str, *, by: Actor, reason: str | None = None) -> ScenarioRow:
        """Stop a scenario from starting by itself; events keep coming in and wait.

        Raises:
            NotFound: the team has no such scenario.
        """
        by.authorize("scenarios.activate")
        await self.get(id, by=by)
        await self._rows.change(
            by.team_id, id, is_active=False, next_due_at_ms=None, paused_reason=reason
        )
        self._changed(by.team_id, id)
        await self._executions.services.store.hold(by.team_id, id)
        await self._activity.note(by, "scenarios.deactivate", "scenario", id)
        return await self.get(id, by=by)

    async def clone(self, id: str, *, by: Actor, name: str = "") -> ScenarioRow:
        """Make a copy of the draft, inactive, with a history of its own.

        Raises:
            NotFound: the team has no such scenario.
        """
        row = await self.get(id, by=by)
        draft = await self.text(id, by=by)
        saved = await self.create(
            by=by, name=name or f"Copy of {row.name}", text=draft.body, folder=row.folder
        )
        return saved.scenario

    async def delete(self, id: str, *, by: Actor) -> None:
        """Put a scenario into the trash; it stops, and its webhooks are free for others.

        Raises:
            NotFound: the team has no such scenario.
        """
        by.authorize("scenarios.delete")
        row = await self.get(id, by=by)
        if row.is_active:
            await self.deactivate(id, by=by)
        await self._webhooks.bind(by.team_id, id, ())
        await self._rows.change(by.team_id, id, deleted_at_ms=self._now())
        self._changed(by.team_id, id)
        await self._activity.note(by, "scenarios.delete", "scenario", id, name=row.name)

    async def restore(self, id: str, *, by: Actor) -> ScenarioRow:
        """Take a scenario out of the trash; it stays inactive.

        Raises:
            NotFound: the team has no such scenario.
        """
        by.authorize("scenarios.delete")
        await self._rows.change(by.team_id, id, deleted_at_ms=None)
        self._changed(by.team_id, id)
        await self._activity.note(by, "scenarios.restore", "scenario", id)
        return await self.get(id, by=by)

    async def run_once(
        self,
        id: str,
        *,
        by: Actor,
        inputs: Mapping[str, Any] | None = None,
        bundles: Sequence[Mapping[str, Any]] | None = None,
        which: Literal["draft", "published"] = "draft",
    ) -> str:
        """Start a scenario now, whether it is active or not.

        Args:
            id: Which scenario.
            by: Who asks.
            inputs: Values of its inputs.
            bundles: What its trigger is to give, instead of being asked.
            which: The draft, as an editor wants it, or what is published.

        Returns:
            The id of the execution.

        Raises:
            NotFound: the team has no such scenario.
            ScenarioInvalid: the version cannot be read.
            RequestInvalid: an input is missing, unknown or of the wrong type.
        """
        by.authorize("scenarios.run")
        version = await self.text(id, by=by, which=which)
        program = await self._executions.programs.version(by.team_id, version.id)
        given = None if bundles is None else [dict(bundle) for bundle in bundles]
        check_start(program, given)
        execution_id, _ = await self._executions.start(
            program, inputs=checked_inputs(program.scenario, inputs or {}), bundles=given
        )
        await self._activity.note(by, "scenarios.run", "scenario", id, execution_id=execution_id)
        return execution_id

    # -- inside ----------------------------------------------------------------------------------

    async def _save(
        self,
        by: Actor,
        id: str,
        text: str,
        *,
        note: str = "",
        revision: int | None = None,
        version_id: str | None = None,
    ) -> int:
        number = await self._rows.save(
            by.team_id,
            id,
            version_id=version_id or new_id(),
            body=text,
            at_ms=self._now(),
            by=by.user_id,
            note=note,
            revision=revision,
        )
        self._changed(by.team_id, id)
        return number

    def _first_due(self, scenario: Scenario, *, is_new: bool) -> int | None:
        schedule = scenario.schedule
        if schedule is None or schedule.kind in ("on-demand", "instant"):
            return None
        now = self._clock.now()
        if is_new and _starts_at_once(schedule):
            return milliseconds(now)
        due = next_due(schedule, scenario.timezone, now)
        return None if due is None else milliseconds(due)

    def _changed(self, team_id: str, scenario_id: str) -> None:
        self._executions.programs.forget(team_id, scenario_id)

    def _now(self) -> int:
        return milliseconds(self._clock.now())


def _check_size(text: str) -> None:
    if len(text) > LARGEST_BYTES:
        raise RequestInvalid(f"A scenario has at most {LARGEST_BYTES} characters.")


def _webhooks_of(scenario: Scenario) -> list[str]:
    names = [module.resources.get("webhook") for module in scenario.modules()]
    return sorted({name for name in names if name})


def _schedule_values(scenario: Scenario) -> dict[str, Any]:
    schedule = scenario.schedule
    said = None if schedule is None else write_schedule(schedule)
    return {"schedule": {"schedule": said, "timezone": scenario.timezone}}


def _starts_at_once(schedule: Schedule) -> bool:
    """An interval begins now; everything else waits for its time."""
    return schedule.kind == "interval" and schedule.start is None and not schedule.windows

"""Scenarios and their versions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import Field

from millrace.api.policy import By, Routes, allows
from millrace.api.problems import finding
from millrace.api.shapes import Before, In, Instant, Limit, Out, Page, The, at, page, plain
from millrace.runtime.scenarios import Saved

routes = Routes(prefix="/scenarios", tags=["scenarios"])

Id = Annotated[str, Path(max_length=64)]
Which = Annotated[
    str, Query(pattern=r"^(draft|published|[1-9][0-9]{0,8})$", description="Or a version's number.")
]


class Scenario(Out):
    """A scenario as the list shows it."""

    id: str
    name: str
    folder: str
    is_active: bool
    draft_version_id: str | None
    published_version_id: str | None
    schedule: dict[str, Any]
    next_due_at: Instant | None = at("next_due_at")
    consecutive_errors: int
    paused_reason: str | None
    created_at: Instant = at("created_at")
    updated_at: Instant = at("updated_at")
    deleted_at: Instant | None = at("deleted_at")
    revision: int


class Problem(Out):
    """One thing to mend."""

    path: str
    message: str
    severity: Literal["error", "warning"]
    code: str
    module_id: str | None


class Draft(Out):
    """What became of a draft."""

    scenario: Scenario
    version: int
    problems: list[Problem]


class Version(Out):
    """What a scenario was at one time."""

    id: str
    number: int
    note: str
    is_published: bool
    created_at: Instant = at("created_at")
    created_by: str | None


class VersionText(Version):
    """A version with its text."""

    body: str = Field(serialization_alias="text")


class NewScenario(In):
    """A scenario to be made."""

    name: str = Field(default="", max_length=200)
    folder: str = Field(default="", max_length=200)
    text: str | None = Field(default=None, description="The scenario file, YAML or JSON.")


class ScenarioChange(In):
    """What is to be changed; what is left out stays."""

    name: str | None = Field(default=None, max_length=200)
    folder: str | None = Field(default=None, max_length=200)


class NewDraft(In):
    """A draft to be kept."""

    text: str
    note: str = Field(default="", max_length=1000)
    revision: int | None = Field(
        default=None, description="The scenario's, that the draft is made from."
    )


class Publication(In):
    """How to publish."""

    force: bool = False
    note: str = Field(default="", max_length=1000)


class Clone(In):
    """What the copy is called."""

    name: str = Field(default="", max_length=200)


class Start(In):
    """What to start with."""

    inputs: dict[str, Any] = {}
    bundles: list[dict[str, Any]] | None = Field(
        default=None, description="What the trigger is to give, instead of being asked."
    )
    version: Literal["draft", "published"] = "draft"


class Started(Out):
    """A started execution."""

    execution_id: str


class ImportAnswer(Draft):
    """What became of an imported file."""

    version: int = 1
    report: dict[str, Any]


@routes.get("", response_model=Page[Scenario])
@allows("scenarios.read")
async def list_scenarios(
    runtime: The, by: By, before: Before = None, limit: Limit = 50, is_deleted: bool = False
) -> Any:
    """The team's scenarios, newest first."""
    rows = await runtime.scenarios.page(by=by, before=before, limit=limit, is_deleted=is_deleted)
    return page(rows, limit)


@routes.post("", response_model=Draft, status_code=201)
@allows("scenarios.change")
async def create_scenario(runtime: The, by: By, body: NewScenario) -> Any:
    """Make a scenario; it is inactive, and its draft is kept whatever is wrong with it."""
    saved = await runtime.scenarios.create(
        by=by, name=body.name, text=body.text, folder=body.folder
    )
    return _saved(saved)


@routes.post(
    "/import",
    response_model=ImportAnswer,
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "application/yaml": {"schema": {"type": "string"}},
            },
        }
    },
)
@allows("scenarios.change")
async def import_scenario(runtime: The, by: By, request: Request) -> Any:
    """Make a scenario from a file, ours or an export of Make; say module by module what runs."""
    imported = await runtime.scenarios.import_(await request.body(), by=by)
    return {
        "scenario": imported.scenario,
        "problems": [finding(problem) for problem in imported.problems],
        "report": plain(imported.report.as_data()),
    }


@routes.get("/{id}", response_model=Scenario)
@allows("scenarios.read")
async def get_scenario(runtime: The, by: By, id: Id) -> Any:
    """One scenario."""
    return await runtime.scenarios.get(id, by=by)


@routes.patch("/{id}", response_model=Scenario)
@allows("scenarios.change")
async def change_scenario(runtime: The, by: By, id: Id, body: ScenarioChange) -> Any:
    """Rename a scenario or put it into another folder."""
    return await runtime.scenarios.rename(id, by=by, name=body.name, folder=body.folder)


@routes.delete("/{id}", status_code=204)
@allows("scenarios.delete")
async def delete_scenario(runtime: The, by: By, id: Id) -> None:
    """Put a scenario into the trash."""
    await runtime.scenarios.delete(id, by=by)


@routes.post("/{id}/restore", response_model=Scenario)
@allows("scenarios.delete")
async def restore_scenario(runtime: The, by: By, id: Id) -> Any:
    """Take a scenario out of the trash."""
    return await runtime.scenarios.restore(id, by=by)


@routes.put("/{id}/draft", response_model=Draft)
@allows("scenarios.change")
async def save_draft(runtime: The, by: By, id: Id, body: NewDraft) -> Any:
    """Keep a new draft, whatever is wrong with it; the problems are in the answer."""
    saved = await runtime.scenarios.save_draft(
        id, by=by, text=body.text, note=body.note, revision=body.revision
    )
    return _saved(saved)


@routes.post("/{id}/publish", response_model=Scenario)
@allows("scenarios.change")
async def publish_scenario(runtime: The, by: By, id: Id, body: Publication | None = None) -> Any:
    """Make the draft the version that runs; modules are pinned to today's versions."""
    body = body or Publication()
    return await runtime.scenarios.publish(id, by=by, force=body.force, note=body.note)


@routes.post("/{id}/activate", response_model=Scenario)
@allows("scenarios.activate")
async def activate_scenario(runtime: The, by: By, id: Id) -> Any:
    """Let a scenario start by itself."""
    return await runtime.scenarios.activate(id, by=by)


@routes.post("/{id}/deactivate", response_model=Scenario)
@allows("scenarios.activate")
async def deactivate_scenario(runtime: The, by: By, id: Id) -> Any:
    """Stop a scenario from starting by itself; events keep coming in and wait."""
    return await runtime.scenarios.deactivate(id, by=by)


@routes.post("/{id}/clone", response_model=Scenario, status_code=201)
@allows("scenarios.change")
async def clone_scenario(runtime: The, by: By, id: Id, body: Clone | None = None) -> Any:
    """Make an inactive copy of the draft."""
    return await runtime.scenarios.clone(id, by=by, name=body.name if body else "")


@routes.post("/{id}/run", response_model=Started, status_code=202)
@allows("scenarios.run")
async def run_scenario(runtime: The, by: By, id: Id, body: Start | None = None) -> Any:
    """Start a scenario now, whether it is active or not."""
    body = body or Start()
    execution_id = await runtime.scenarios.run_once(
        id, by=by, inputs=body.inputs, bundles=body.bundles, which=body.version
    )
    return {"execution_id": execution_id}


@routes.get("/{id}/problems", response_model=list[Problem])
@allows("scenarios.read")
async def scenario_problems(runtime: The, by: By, id: Id, version: Which = "draft") -> Any:
    """Everything that is wrong with a version."""
    problems = await runtime.scenarios.problems(id, by=by, which=_which(version))
    return [finding(problem) for problem in problems]


@routes.get("/{id}/export")
@allows("scenarios.read")
async def export_scenario(
    runtime: The,
    by: By,
    id: Id,
    version: Which = "draft",
    format: Literal["yaml", "json", "make"] = "yaml",
) -> Response:
    """A version as a file, for another installation or for Make; without secrets."""
    text = await runtime.scenarios.export(id, by=by, format=format, which=_which(version))
    is_yaml = format == "yaml"
    name = f"scenario.{'yaml' if is_yaml else 'json'}"
    return Response(
        text,
        media_type="application/yaml" if is_yaml else "application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@routes.get("/{id}/versions", response_model=Page[Version])
@allows("scenarios.read")
async def list_versions(
    runtime: The, by: By, id: Id, before: Before = None, limit: Limit = 50
) -> Any:
    """The versions of a scenario, newest first."""
    return page(await runtime.scenarios.versions(id, by=by, before=before, limit=limit), limit)


@routes.get("/{id}/versions/{version}", response_model=VersionText)
@allows("scenarios.read")
async def get_version(
    runtime: The,
    by: By,
    id: Id,
    version: Annotated[str, Path(pattern=r"^(draft|published|[1-9][0-9]{0,8})$")],
) -> Any:
    """One version with its text: by its number, ``draft`` or ``published``."""
    return await runtime.scenarios.text(id, by=by, which=_which(version))


@routes.get(
    "/{id}/compare", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
@allows("scenarios.read")
async def compare_versions(
    runtime: The,
    by: By,
    id: Id,
    old: Annotated[int, Query(ge=1)],
    new: Annotated[int, Query(ge=1)],
) -> Response:
    """What changed from one version to another, as a unified diff."""
    text = await runtime.scenarios.compare(id, old, new, by=by)
    return Response(text, media_type="text/plain; charset=utf-8")


def _which(version: str) -> Any:
    return int(version) if version.isdigit() else version


def _saved(saved: Saved) -> dict[str, Any]:
    return {
        "scenario": saved.scenario,
        "version": saved.version,
        "problems": [finding(problem) for problem in saved.problems],
    }

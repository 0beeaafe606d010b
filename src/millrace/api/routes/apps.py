"""The apps that are installed, what they offer, and the functions of the expression language."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Path

from millrace.api.policy import By, Routes, allows
from millrace.api.shapes import Out, The, plain
from millrace.appkit.catalog import App as CatalogApp
from millrace.appkit.catalog import ModuleSpec
from millrace.errors import NotFound

routes = Routes(tags=["apps"])

Name = Annotated[str, Path(max_length=100)]


class App(Out):
    """An app as the catalogue shows it."""

    name: str
    label: str
    description: str
    colour: str
    docs: str
    modules: list[str]
    connections: list[str]


class Module(Out):
    """A module that an app offers."""

    name: str
    version: int
    label: str
    description: str
    kind: str
    effect: str
    connections: list[str]
    resources: list[str]
    parameters: list[dict[str, Any]]
    interface: list[dict[str, Any]]
    sample: Any
    is_open: bool


class ConnectionType(Out):
    """What an app asks for when a connection is made."""

    name: str
    label: str
    description: str
    fields: list[dict[str, Any]]


class AppDetails(App):
    """An app with everything it offers."""

    module_details: list[Module]
    connection_types: list[ConnectionType]


class Function(Out):
    """A function of the expression language."""

    name: str
    signature: str
    summary: str
    group: str


@routes.get("/apps", response_model=list[App])
@allows("apps.read")
async def list_apps(runtime: The, by: By) -> Any:
    """The apps that are installed."""
    return [_app(app) for app in runtime.catalog.apps()]


@routes.get("/apps/{name}", response_model=AppDetails)
@allows("apps.read")
async def get_app(runtime: The, by: By, name: Name) -> Any:
    """One app with its modules and connection types."""
    app = runtime.catalog.app(name)
    if app is None:
        raise NotFound(f"There is no app {name}.")
    types = [(name, app.connection(name)) for name in app.connection_names]
    return {
        **_app(app),
        "module_details": [_module(spec) for spec in app.modules()],
        "connection_types": [
            {
                "name": name,
                "label": manifest.label,
                "description": manifest.description,
                "fields": msgspec.to_builtins(manifest.fields),
            }
            for name, manifest in types
        ],
    }


@routes.get("/functions", response_model=list[Function])
@allows("apps.read")
async def list_functions(by: By) -> Any:
    """The functions that expressions can use."""
    from millrace.expressions.functions import FUNCTIONS

    return [
        {
            "name": spec.name,
            "signature": spec.signature,
            "summary": spec.doc,
            "group": spec.group,
        }
        for spec in FUNCTIONS.values()
    ]


def _app(app: CatalogApp) -> dict[str, Any]:
    manifest = app.manifest
    return {
        "name": app.name,
        "label": manifest.label,
        "description": manifest.description,
        "colour": manifest.colour,
        "docs": manifest.docs,
        "modules": list(app.module_names),
        "connections": list(app.connection_names),
    }


def _module(spec: ModuleSpec) -> dict[str, Any]:
    manifest = spec.manifest
    return {
        "name": spec.name,
        "version": manifest.version,
        "label": manifest.label,
        "description": manifest.description,
        "kind": manifest.kind,
        "effect": spec.traits.effect,
        "connections": list(manifest.connections),
        "resources": list(manifest.resources),
        "parameters": msgspec.to_builtins(manifest.parameters),
        "interface": msgspec.to_builtins(manifest.interface),
        "sample": plain(manifest.sample),
        "is_open": manifest.open,
    }

"""Find apps and look up what they offer.

Loading a catalog lists folders and reads nothing: a manifest is read when it is asked for, a
function imported when it is first called, so that a process with many apps starts as fast as an
empty one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from millrace.appkit.document import read_document
from millrace.appkit.manifest import (
    AppManifest,
    Case,
    ConnectionManifest,
    ModuleManifest,
    RpcManifest,
)
from millrace.engine.traits import Effect, ModuleTraits
from millrace.errors import ManifestInvalid

ENTRY_POINTS = "millrace.apps"


class App:
    """One app folder."""

    def __init__(self, folder: Path, *, package: str) -> None:
        self.folder = folder
        self.package = package
        """Importable name of the folder, for its functions."""
        self.name = folder.name.replace("_", "-")
        self._modules: dict[tuple[str, int | None], ModuleSpec | None] = {}

    def __repr__(self) -> str:
        return f"<App {self.name}>"

    @cached_property
    def manifest(self) -> AppManifest:
        """What ``app.yaml`` says.

        Raises:
            ManifestInvalid: with file and line.
        """
        manifest = read_document(self.folder / "app.yaml", AppManifest)
        if manifest.name != self.name:
            raise ManifestInvalid(
                f"{self.folder.name}/app.yaml: name is {manifest.name}, the folder says {self.name}"
            )
        return manifest

    @cached_property
    def module_names(self) -> tuple[str, ...]:
        """``http:request`` and so on, sorted; older versions are not listed."""
        return tuple(f"{self.name}:{name}" for name in self._listed("modules") if "@" not in name)

    @cached_property
    def connection_names(self) -> tuple[str, ...]:
        """Types of connections, sorted."""
        return tuple(self._listed("connections"))

    def _listed(self, kind: str) -> list[str]:
        folder = self.folder / kind
        if not folder.is_dir():
            return []
        return sorted(
            entry.name.removesuffix(".yaml").replace("_", "-" if kind == "modules" else "_")
            for entry in os.scandir(folder)
            if entry.name.endswith(".yaml")
        )

    def modules(self) -> list[ModuleSpec]:
        """Every module, newest versions only."""
        found = (self.module(name.partition(":")[2]) for name in self.module_names)
        return [spec for spec in found if spec]

    def module(self, name: str, version: int | None = None) -> ModuleSpec | None:
        """One module by its name without the app; None when there is no such module or version.

        The newest version is ``modules/<name>.yaml``; older ones stay beside it as
        ``modules/<name>@<version>.yaml``.
        """
        key = (name, version)
        if key not in self._modules:
            self._modules[key] = self._read_module(name, version)
        return self._modules[key]

    def _read_module(self, name: str, version: int | None) -> ModuleSpec | None:
        if f"{self.name}:{name}" not in self.module_names:
            return None
        stem = name.replace("-", "_")
        newest = self._modules.get((name, None)) or ModuleSpec(
            self, name, self.folder / "modules" / f"{stem}.yaml"
        )
        if version is None or newest.manifest.version == version:
            return newest
        older = self.folder / "modules" / f"{stem}@{version}.yaml"
        return ModuleSpec(self, name, older) if older.is_file() else None

    def connection(self, name: str) -> ConnectionManifest:
        """One connection type.

        Raises:
            ManifestInvalid: there is no such file, or it is wrong.
        """
        return self._read("connections", name, ConnectionManifest)

    def rpc(self, name: str) -> RpcManifest:
        """One RPC; ManifestInvalid when there is none of that name."""
        return self._read("rpcs", name, RpcManifest)

    def _read(self, kind: str, name: str, type_: Any) -> Any:
        stem = name.replace("-", "_")
        path = self.folder / kind / f"{stem}.yaml"
        if not stem.isidentifier() or not path.is_file():
            raise ManifestInvalid(f"{self.name}: there is no {kind}/{stem}.yaml")
        return read_document(path, type_, file=f"{self.folder.name}/{kind}/{stem}.yaml")

    def function(self, call: str) -> Callable[..., Any]:
        """The Python function that a manifest names as ``file.function``.

        Raises:
            ManifestInvalid: there is no such file or function.
        """
        file, _, name = call.rpartition(".")
        if not (file.isidentifier() and name.isidentifier()):
            raise ManifestInvalid(f"{self.name}: call {call} should look like functions.name")
        if not (self.folder / f"{file}.py").is_file():
            raise ManifestInvalid(f"{self.name}: call {call}: there is no {file}.py")
        module = importlib.import_module(f"{_importable(self)}.{file}")
        function = getattr(module, name, None)
        if not callable(function):
            raise ManifestInvalid(f"{self.name}: call {call}: {file}.py has no {name}")
        return function


class ModuleSpec:
    """One module that an app offers."""

    def __init__(self, app: App, name: str, path: Path) -> None:
        self.app = app
        self.name = f"{app.name}:{name}"
        self.path = path

    def __repr__(self) -> str:
        return f"<ModuleSpec {self.name}>"

    @cached_property
    def manifest(self) -> ModuleManifest:
        """What its YAML says; ManifestInvalid with file and line."""
        file = f"{self.app.folder.name}/modules/{self.path.name}"
        return read_document(self.path, ModuleManifest, file=file)

    @cached_property
    def traits(self) -> ModuleTraits:
        """What the engine must know."""
        manifest = self.manifest
        return ModuleTraits(
            name=self.name,
            version=manifest.version,
            label=manifest.label,
            app_label=self.app.manifest.label,
            kind=manifest.kind,
            effect=manifest.effect or "pure",
            parameters=tuple(parameter.traits() for parameter in manifest.parameters),
            is_open=manifest.open,
        )

    @cached_property
    def function(self) -> Callable[..., Any] | None:
        """The function that carries it out; None for declarative modules and structure."""
        return self.app.function(self.manifest.call) if self.manifest.call else None

    @property
    def is_blocking(self) -> bool:
        """True: the function is to be run in a worker thread."""
        return self.manifest.blocking

    def effect_of(self, parameters: Mapping[str, Any]) -> Effect:
        """What a repetition with these parameters would do."""
        for when in self.manifest.effect_when or ():
            value = str(parameters.get(when.parameter, "")).lower()
            for given, effect in when.values.items():
                if given.lower() == value:
                    return effect
        return self.manifest.effect or "pure"

    def cases(self) -> list[Case]:
        """Its cases; empty when there are none."""
        path = self.app.folder / "cases" / self.path.name
        if not path.is_file():
            return []
        return read_document(path, list[Case], file=f"{self.app.folder.name}/cases/{path.name}")


class Catalog:
    """Every app of this installation."""

    def __init__(self, apps: Iterable[App]) -> None:
        self._apps: dict[str, App] = {}
        for app in apps:
            if (known := self._apps.get(app.name)) is not None:
                raise ManifestInvalid(
                    f"two apps are called {app.name}: {known.folder} and {app.folder}"
                )
            self._apps[app.name] = app

    @classmethod
    def load(cls, *folders: Path | str) -> Catalog:
        """The apps that come with Millrace, those of installed packages, and those in `folders`.

        A folder is an app itself (it has an ``app.yaml``) or holds apps.

        Raises:
            ManifestInvalid: two apps have the same name, or a folder holds no app.
        """
        apps = list(_apps_in(Path(__file__).parent.parent / "apps", package="millrace.apps"))
        apps += _installed()
        for given in folders:
            found = list(_apps_in(Path(given).resolve(), package=""))
            if not found:
                raise ManifestInvalid(f"{given}: there is no app in this folder (no app.yaml)")
            apps += found
        return cls(apps)

    def apps(self) -> list[App]:
        """Every app, by name."""
        return sorted(self._apps.values(), key=lambda app: app.name)

    def app(self, name: str) -> App | None:
        """One app; None when it is not installed."""
        return self._apps.get(name)

    def module(self, name: str, version: int | None = None) -> ModuleSpec | None:
        """One module by ``app:module``; None when it, or that version of it, is unknown.

        Raises:
            ManifestInvalid: it exists and its YAML is wrong.
        """
        app_name, _, module = name.partition(":")
        app = self._apps.get(app_name)
        return app.module(module, version) if app else None

    def traits(self, name: str, version: int | None = None) -> ModuleTraits | None:
        """What the engine must know of a module; the lookup that the scenario check wants."""
        spec = self.module(name, version)
        return spec.traits if spec else None

    def modules(self) -> list[ModuleSpec]:
        """Every module of every app; reads every manifest."""
        return [spec for app in self.apps() for spec in app.modules()]

    def connection(self, type_: str, *, app: str = "") -> ConnectionManifest:
        """A connection type: ``basic`` of the given app, or ``google:oauth`` of another.

        Raises:
            ManifestInvalid: there is no such connection type.
        """
        owner, _, name = type_.rpartition(":")
        found = self._apps.get(owner or app)
        if found is None:
            raise ManifestInvalid(f"there is no app {owner or app} with a connection {name}")
        return found.connection(name)

    def make_modules(self) -> dict[str, dict[str, Any]]:
        """Make's name of a module → the fields of ``scenario.formats.make.MakeModule``."""
        return {
            theirs.module: {
                "module": spec.name,
                "rename": theirs.rename,
                "values": theirs.values,
                "constants": theirs.constants,
                "resource": theirs.resource,
                "static": theirs.static,
            }
            for spec in self.modules()
            for theirs in spec.manifest.make_modules
        }


def load_catalog(*folders: Path | str) -> Catalog:
    """See `Catalog.load`."""
    return Catalog.load(*folders)


def _apps_in(folder: Path, *, package: str) -> Iterable[App]:
    """The app that a folder is, or those in it."""
    if (folder / "app.yaml").is_file():
        yield App(folder, package=package)
    elif folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if (entry / "app.yaml").is_file():
                yield App(entry, package=package and f"{package}.{entry.name}")


def _installed() -> list[App]:
    """Apps of other installed packages: entry points that name a package with an ``app.yaml``."""
    from importlib.metadata import entry_points

    apps: list[App] = []
    for point in entry_points(group=ENTRY_POINTS):
        spec = importlib.util.find_spec(point.value)
        for location in (spec.submodule_search_locations or ()) if spec else ():
            apps += _apps_in(Path(location), package=point.value)
    return apps


def _importable(app: App) -> str:
    """The package name of an app, made importable when its folder is not on the path."""
    if app.package:
        return app.package
    # Two folders may hold apps of one name, one after the other: the folder is part of the name.
    place = hashlib.sha256(str(app.folder).encode()).hexdigest()[:12]
    package = f"_millrace_app_{app.name.replace('-', '_')}_{place}"
    if package not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            package,
            app.folder / "__init__.py",
            submodule_search_locations=[str(app.folder)],
        )
        if spec is None or spec.loader is None or not (app.folder / "__init__.py").is_file():
            raise ManifestInvalid(f"{app.name}: {app.folder} needs an empty __init__.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[package] = module
        spec.loader.exec_module(module)
    return package

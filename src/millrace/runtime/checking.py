"""Everything that is wrong with a scenario: its own problems, and what its team does not have."""

from __future__ import annotations

from collections.abc import Mapping

from millrace.appkit.catalog import Catalog, ModuleSpec
from millrace.errors import ManifestInvalid, ScenarioInvalid
from millrace.runtime.named import WORDS, Named
from millrace.scenario.check import check
from millrace.scenario.formats import MakeModule, read_scenario
from millrace.scenario.model import Module, Scenario
from millrace.scenario.problems import Problem, path_of
from millrace.scenario.texts import places


class Checker:
    """Checks scenarios against the apps that are installed and what a team owns.

    Args:
        catalog: The apps.
        named: What the teams own.
    """

    def __init__(self, catalog: Catalog, named: Named) -> None:
        self._catalog = catalog
        self._named = named
        self._known: Mapping[str, MakeModule] | None = None

    def known(self) -> Mapping[str, MakeModule]:
        """Make's modules that the installed apps offer."""
        if self._known is None:
            self._known = known_modules(self._catalog)
        return self._known

    async def read(self, team_id: str, text: str) -> tuple[Scenario | None, list[Problem]]:
        """A scenario from its text, and all its problems; None when it cannot be read."""
        try:
            scenario = read_scenario(text, known=self.known())
        except ScenarioInvalid as error:
            return None, list(error.problems) or [Problem(path="", message=error.message)]
        return scenario, await self.check(team_id, scenario)

    async def check(self, team_id: str, scenario: Scenario) -> list[Problem]:
        """Every problem of a scenario in a team."""
        names = [name for app in self._catalog.apps() for name in app.module_names]
        problems = check(scenario, self._catalog.traits, names=names)
        return problems + await self._missing(team_id, scenario)

    async def _missing(self, team_id: str, scenario: Scenario) -> list[Problem]:
        problems: list[Problem] = []
        seen: dict[tuple[str, str], bool] = {}
        for at, module in places(scenario.flow):
            spec = self._spec(module)
            for word in WORDS:
                name = module.resources.get(word, "")
                path = path_of((*at, word))
                if not name:
                    if spec is not None and _is_needed(spec, word):
                        message = f"choose a {word.replace('_', ' ')}"
                        problems.append(_missing(path, message, module))
                    continue
                if (word, name) not in seen:
                    row = await self._named.find(team_id, word, name)
                    seen[word, name] = row is not None
                if not seen[word, name]:
                    message = f"there is no {word.replace('_', ' ')} {name!r} in this team"
                    problems.append(
                        _missing(path, f"{message}; create it, or choose another", module)
                    )
        return problems

    def _spec(self, module: Module) -> ModuleSpec | None:
        try:
            return self._catalog.module(module.module, module.version)
        except ManifestInvalid:
            return None


def known_modules(catalog: Catalog) -> dict[str, MakeModule]:
    """Make's name of a module → how it becomes ours, from the manifests of all apps."""
    return {theirs: MakeModule(**said) for theirs, said in catalog.make_modules().items()}


def _is_needed(spec: ModuleSpec, word: str) -> bool:
    manifest = spec.manifest
    if word == "connection" and manifest.connections and not manifest.connection_required:
        return False
    return word in manifest.resources


def _missing(path: str, message: str, module: Module) -> Problem:
    return Problem(path=path, message=message, code="resource", module_id=module.id)

"""Any file that says a scenario: ours or Make's, YAML or JSON."""

from __future__ import annotations

from millrace.scenario.formats.native import read_native
from millrace.scenario.formats.text import read_data
from millrace.scenario.model import Scenario


def read_scenario(source: str | bytes) -> Scenario:
    """The scenario that a file says.

    Raises:
        ScenarioInvalid: With every problem of the file in `problems`, each with its path.
    """
    return read_native(read_data(source))

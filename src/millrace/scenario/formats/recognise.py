"""Any file that says a scenario: ours or Make's, YAML or JSON."""

from __future__ import annotations

from collections.abc import Mapping

from millrace.scenario.formats.make import NOTHING_KNOWN, MakeModule, is_make, read_make
from millrace.scenario.formats.native import read_native
from millrace.scenario.formats.text import read_data
from millrace.scenario.model import Scenario


def read_scenario(
    source: str | bytes, *, known: Mapping[str, MakeModule] = NOTHING_KNOWN
) -> Scenario:
    """The scenario that a file says; whose format it is, is seen by its shape.

    Args:
        source: The file: UTF-8, or UTF-16 with a byte order mark.
        known: Make's modules that the installed apps offer, for exports of Make's.

    Raises:
        ScenarioInvalid: With every problem of the file in `problems`, each with its path.
    """
    data = read_data(source)
    return read_make(data, known) if is_make(data) else read_native(data)

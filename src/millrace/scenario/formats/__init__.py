"""Files that say a scenario."""

from millrace.scenario.formats.make import MakeModule, read_make
from millrace.scenario.formats.make_export import write_make
from millrace.scenario.formats.make_report import Report, compatibility
from millrace.scenario.formats.native import read_native, write_native
from millrace.scenario.formats.recognise import read_scenario

__all__ = [
    "MakeModule",
    "Report",
    "compatibility",
    "read_make",
    "read_native",
    "read_scenario",
    "write_make",
    "write_native",
]

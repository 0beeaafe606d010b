"""Files that say a scenario."""

from millrace.scenario.formats.native import read_native, write_native
from millrace.scenario.formats.recognise import read_scenario

__all__ = ["read_native", "read_scenario", "write_native"]

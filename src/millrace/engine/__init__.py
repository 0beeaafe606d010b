"""What a scenario does: the interpreter and what it is told and asks."""

from millrace.engine.bundle import Binary, Bundle, binaries_in
from millrace.engine.checkpoint import freeze, thaw
from millrace.engine.interpreter import Interpreter, Start
from millrace.engine.limits import Limits
from millrace.engine.plan import Plan, compile_plan
from millrace.engine.traits import Effect, Kind, ModuleTraits, ParameterTraits

__all__ = [
    "Binary",
    "Bundle",
    "Effect",
    "Interpreter",
    "Kind",
    "Limits",
    "ModuleTraits",
    "ParameterTraits",
    "Plan",
    "Start",
    "binaries_in",
    "compile_plan",
    "freeze",
    "thaw",
]

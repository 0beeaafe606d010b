"""Parameters as written → one closure that evaluates, coerces and validates them for a bundle.

Everything that can be decided before running is decided here: constants are coerced once, holes are
compiled once, and a parameter whose declared type takes anything is not coerced at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from millrace.engine.traits import ModuleTraits, ParameterTraits
from millrace.errors import BundleValidationError, ExpressionError
from millrace.expressions import IGNORE, Scope, coerce, compile_template
from millrace.expressions.scope import Marker
from millrace.expressions.values import Binary

Evaluate = Callable[[Scope], Any]

_ANYTHING = ParameterTraits(name="")
_PYTHON_TYPES: dict[str, type] = {
    "text": str,
    "array": list,
    "collection": dict,
    "boolean": bool,
    "date": datetime,
    "buffer": Binary,
}


def compile_value(raw: Any) -> tuple[Evaluate | None, Any]:
    """A value at any depth: (closure, None), or (None, constant) when it holds no hole."""
    if isinstance(raw, str):
        if "{{" not in raw:
            return None, raw
        template = compile_template(raw)
        if template.is_constant:
            return None, raw
        return template.evaluate, None
    if isinstance(raw, Mapping):
        return _compile_collection(raw)
    if isinstance(raw, (list, tuple)):
        return _compile_array(raw)
    return None, raw


def evaluator(raw: Any) -> Evaluate:
    """A value at any depth as a closure, constant or not; a wrong template raises when run."""
    try:
        evaluate, constant = compile_value(raw)
    except ExpressionError as error:
        return _raising(error)
    return evaluate if evaluate is not None else lambda scope: constant


def compile_parameters(
    raw: Mapping[str, Any],
    traits: ModuleTraits | None,
    *,
    zone: tzinfo,
    only: Callable[[ParameterTraits], bool] = lambda parameter: True,
) -> Evaluate:
    """All parameters of a module as one closure: scope → dict, ready for the module.

    Args:
        raw: As the scenario's author wrote them.
        traits: What the app declares; None: everything is evaluated and passed on.
        zone: For texts that are to become dates.
        only: Which declared parameters are wanted (aggregators part theirs in two).

    Raises, when called:
        BundleValidationError: a value is missing or of the wrong type.
        ExpressionError: an expression cannot be evaluated.
    """
    declared = {p.name: p for p in traits.parameters} if traits else {}
    is_open = traits is None or traits.is_open
    constants: dict[str, Any] = {}
    steps: list[tuple[str, Evaluate]] = []
    for name, value in raw.items():
        parameter = declared.get(name)
        if parameter is None:
            if not is_open:
                continue
            parameter = _ANYTHING
        elif not only(parameter):
            continue
        steps_or_constant = _compile_parameter(name, value, parameter, zone)
        if isinstance(steps_or_constant, _Constant):
            if steps_or_constant.value is not IGNORE:
                constants[name] = steps_or_constant.value
        else:
            steps.append((name, steps_or_constant))
    for parameter in declared.values():
        if parameter.name in raw or not only(parameter):
            continue
        if parameter.is_required and parameter.default is None:
            steps.append((parameter.name, _raising(_missing(parameter.name))))
        elif parameter.default is not None:
            constants[parameter.name] = parameter.default
    return _closure(constants, tuple(steps))


class _Constant:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _closure(constants: dict[str, Any], steps: tuple[tuple[str, Evaluate], ...]) -> Evaluate:
    if not steps:
        return lambda scope: dict(constants)
    if len(steps) == 1 and not constants:
        ((name, evaluate),) = steps

        def one(scope: Scope) -> dict[str, Any]:
            value = evaluate(scope)
            return {} if value is IGNORE else {name: value}

        return one

    def several(scope: Scope) -> dict[str, Any]:
        values = dict(constants)
        for name, evaluate in steps:
            value = evaluate(scope)
            if value is not IGNORE:
                values[name] = value
        return values

    return several


def _compile_parameter(
    name: str, raw: Any, parameter: ParameterTraits, zone: tzinfo
) -> Evaluate | _Constant:
    if not parameter.is_mapped:
        evaluate, constant = None, raw
    else:
        try:
            evaluate, constant = compile_value(raw)
        except ExpressionError as error:
            return _raising(_at(name, error))
    check = _checker(name, parameter, zone)
    if evaluate is None:
        if check is None:
            return _Constant(constant)
        try:
            return _Constant(check(constant))
        except BundleValidationError as error:
            return _raising(error)
    inner = evaluate
    if check is None:
        return _located(name, inner)
    checked = check
    exact = _PYTHON_TYPES.get(parameter.type)
    if exact is not None and not _has_rules(parameter):

        def quick(scope: Scope) -> Any:
            try:
                value = inner(scope)
            except ExpressionError as error:
                raise _at(name, error) from error
            return value if value.__class__ is exact else checked(value)

        return quick

    def full(scope: Scope) -> Any:
        try:
            value = inner(scope)
        except ExpressionError as error:
            raise _at(name, error) from error
        return checked(value)

    return full


def _has_rules(parameter: ParameterTraits) -> bool:
    return bool(
        parameter.minimum is not None
        or parameter.maximum is not None
        or parameter.pattern
        or parameter.options
        or parameter.fields
        or parameter.item_type
    )


def _checker(name: str, parameter: ParameterTraits, zone: tzinfo) -> Callable[[Any], Any] | None:
    """Coerce, then hold against the declared rules. None where any value will do."""
    type_name, default = parameter.type, parameter.default
    if type_name == "any" and not parameter.is_required and default is None:
        return None
    fields = tuple((f, _checker(f"{name}.{f.name}", f, zone)) for f in parameter.fields)

    def check(value: Any) -> Any:
        if value is None or (value == "" and type_name != "text" and value.__class__ is str):
            if default is not None:
                return default
            if parameter.is_required and value is None:
                raise _missing(name)
            if parameter.is_required and type_name != "any":
                raise _missing(name)
            return None
        if isinstance(value, Marker):
            return value
        try:
            value = coerce(value, type_name, zone=zone)
            if parameter.item_type is not None and isinstance(value, list):
                value = [coerce(item, parameter.item_type, zone=zone) for item in value]
        except BundleValidationError as error:
            raise BundleValidationError(f"{name}: {error.message}") from error
        if fields:
            if isinstance(value, dict):
                value = _check_fields(name, value, fields)
            elif isinstance(value, list):
                value = [
                    _check_fields(f"{name}[{i}]", item, fields) if isinstance(item, dict) else item
                    for i, item in enumerate(value, 1)
                ]
        _hold_rules(name, value, parameter)
        return value

    return check


def _check_fields(
    name: str,
    value: dict[str, Any],
    fields: tuple[tuple[ParameterTraits, Callable[[Any], Any] | None], ...],
) -> dict[str, Any]:
    checked = dict(value)
    for field, check in fields:
        if field.name in checked:
            if check is not None:
                checked[field.name] = check(checked[field.name])
        elif field.default is not None:
            checked[field.name] = field.default
        elif field.is_required:
            raise _missing(f"{name}.{field.name}")
    return checked


def _hold_rules(name: str, value: Any, parameter: ParameterTraits) -> None:
    low, high = parameter.minimum, parameter.maximum
    if low is not None or high is not None:
        if isinstance(value, str):
            size: float | None = len(value)
            unit = " characters"
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            size, unit = value, ""
        elif isinstance(value, list):
            size, unit = len(value), " items"
        else:
            size, unit = None, ""
        if size is not None and low is not None and size < low:
            raise BundleValidationError(f"{name}: at least {low:g}{unit} needed, got {size:g}")
        if size is not None and high is not None and size > high:
            raise BundleValidationError(f"{name}: at most {high:g}{unit} allowed, got {size:g}")
    if parameter.options and parameter.type == "select" and not isinstance(value, list):
        allowed = parameter.options
        if value not in allowed and str(value) not in {str(option) for option in allowed}:
            names = ", ".join(str(option) for option in allowed[:12])
            raise BundleValidationError(f"{name}: not one of the choices ({names})")
    if parameter.pattern and isinstance(value, str):
        import re2

        if re2.search(parameter.pattern, value) is None:
            raise BundleValidationError(f"{name}: does not have the form {parameter.pattern}")


def _compile_collection(raw: Mapping[str, Any]) -> tuple[Evaluate | None, Any]:
    compiled = [(key, *compile_value(value)) for key, value in raw.items()]
    if all(evaluate is None for _, evaluate, _ in compiled):
        return None, dict(raw)

    def collection(scope: Scope) -> dict[str, Any]:
        result = {}
        for key, evaluate, constant in compiled:
            value = constant if evaluate is None else evaluate(scope)
            if value is not IGNORE:
                result[key] = value
        return result

    return collection, None


def _compile_array(raw: list[Any] | tuple[Any, ...]) -> tuple[Evaluate | None, Any]:
    compiled = [compile_value(value) for value in raw]
    if all(evaluate is None for evaluate, _ in compiled):
        return None, list(raw)

    def array(scope: Scope) -> list[Any]:
        values = [
            constant if evaluate is None else evaluate(scope) for evaluate, constant in compiled
        ]
        return [value for value in values if value is not IGNORE]

    return array, None


def _located(name: str, evaluate: Evaluate) -> Evaluate:
    def located(scope: Scope) -> Any:
        try:
            return evaluate(scope)
        except ExpressionError as error:
            raise _at(name, error) from error

    return located


def _at(name: str, error: ExpressionError) -> BundleValidationError:
    return BundleValidationError(f"{name}: {error.message}")


def _missing(name: str) -> BundleValidationError:
    return BundleValidationError(f"{name}: a value is required; map one or type it in")


def _raising(error: BundleValidationError) -> Evaluate:
    message, kind = error.message, BundleValidationError

    def raises(scope: Scope) -> Any:
        raise kind(message)

    return raises

"""Calculating, rounding, statistics, and numbers as text."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from millrace.errors import ExpressionError
from millrace.expressions.convert import (
    Number,
    integer_of,
    is_empty,
    number_from_text,
    number_of,
    number_or_none,
    result,
    text_of,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.scope import Scope

math_ = FunctionTable("math")

_PRECISE: Final = Context(prec=400)
_MOST_DIGITS: Final = 20


def _rounded(value: Any, digits: Any, rounding: str) -> Number:
    """Rounds the number as it is written, so that 1.005 with 2 digits is 1.01."""
    number = number_of(value)
    places = 0 if digits is None else integer_of(digits)
    if abs(places) > _MOST_DIGITS:
        raise ExpressionError(f"at most {_MOST_DIGITS} digits are possible")
    if isinstance(number, int) and places >= 0:
        return number
    if not math.isfinite(number):
        raise ExpressionError("the number is not finite")
    exact = Decimal(str(number)).quantize(Decimal(1).scaleb(-places), rounding, _PRECISE)
    return result(float(exact))


@math_.add("abs(number)", "The number without its sign.", ("abs(-3)", 3), ("abs(2.5)", 2.5))
def abs_(scope: Scope, number: Any) -> Number:
    return result(abs(number_of(number)))


@math_.add(
    "ceil(number; [digits])",
    "Rounds up, towards plus infinity.",
    ("ceil(1.2)", 2),
    ("ceil(4)", 4),
    ("ceil(-1.5)", -1),
)
def ceil(scope: Scope, number: Any, digits: Any = None) -> Number:
    return _rounded(number, digits, ROUND_CEILING)


@math_.add(
    "floor(number; [digits])",
    "Rounds down, towards minus infinity.",
    ("floor(1.9)", 1),
    ("floor(-1.5)", -2),
)
def floor(scope: Scope, number: Any, digits: Any = None) -> Number:
    return _rounded(number, digits, ROUND_FLOOR)


@math_.add(
    "round(number; [digits])",
    "Rounds to the nearest; a half goes up, also below zero.",
    ("round(1.5)", 2),
    ("round(1.2)", 1),
    ("round(-1.5)", -1),
    ("round(1.005; 2)", 1.01),
)
def round_(scope: Scope, number: Any, digits: Any = None) -> Number:
    negative = number_of(number) < 0
    return (
        -_rounded(-number_of(number), digits, "ROUND_HALF_DOWN")
        if negative
        else _rounded(number, digits, ROUND_HALF_UP)
    )


@math_.add(
    "trunc(number; [digits])",
    "Cuts digits off, towards zero. Negative digits cut before the decimal point.",
    ("trunc(3.789)", 3),
    ("trunc(3.789; 2)", 3.78),
    ("trunc(123.456; -2)", 100),
    ("trunc(-3.7)", -3),
    extra="M",
)
def trunc(scope: Scope, number: Any, digits: Any = None) -> Number:
    return _rounded(number, digits, ROUND_DOWN)


def _numbers(values: tuple[Any, ...], scope: Scope) -> list[Number]:
    """The numbers among the arguments and in their arrays; what is no number is left out."""
    found: list[Number] = []
    for value in values:
        if isinstance(value, list):
            scope.spend(len(value))
            found.extend(number for item in value if (number := _counted(item)) is not None)
        elif (number := _counted(value)) is not None:
            found.append(number)
    return found


def _counted(value: Any) -> Number | None:
    return None if isinstance(value, bool) else number_or_none(value)


def _total(numbers: list[Number]) -> Number:
    if all(isinstance(number, int) for number in numbers):
        return sum(numbers)
    return math.fsum(numbers)


@math_.add(
    "sum(value; ...)",
    "Adds the numbers of an array, or the numbers given. What is no number is left out.",
    ("sum(1; 2; 3)", 6),
    ('sum(split("1,2,x,4"; ","))', 7),
    ("sum(emptyarray)", 0),
)
def sum_(scope: Scope, *values: Any) -> Number:
    return result(_total(_numbers(values, scope)))


@math_.add(
    "average(value; ...)",
    "The mean of the numbers of an array, or of the numbers given; null when there are none.",
    ("average(1; 2; 6)", 3),
    ("average(emptyarray)", None),
)
def average(scope: Scope, *values: Any) -> Number | None:
    numbers = _numbers(values, scope)
    return result(_total(numbers) / len(numbers)) if numbers else None


@math_.add("min(value; ...)", "The smallest number; null when there is none.", ("min(3; 1; 2)", 1))
def min_(scope: Scope, *values: Any) -> Number | None:
    return min(_numbers(values, scope), default=None)


@math_.add("max(value; ...)", "The largest number; null when there is none.", ("max(3; 1; 2)", 3))
def max_(scope: Scope, *values: Any) -> Number | None:
    return max(_numbers(values, scope), default=None)


@math_.add(
    "median(value; ...)",
    "The number in the middle, or the mean of the two in the middle; null when there is none.",
    ("median(2; 3; 5; 8)", 4),
    ("median(5; 1; 3)", 3),
    extra="M",
)
def median(scope: Scope, *values: Any) -> Number | None:
    numbers = sorted(_numbers(values, scope))
    if not numbers:
        return None
    middle = len(numbers) // 2
    if len(numbers) % 2:
        return numbers[middle]
    return result((numbers[middle - 1] + numbers[middle]) / 2)


def _deviation(numbers: list[Number], freedom: int) -> Number | None:
    if len(numbers) <= freedom:
        return None
    mean = _total(numbers) / len(numbers)
    squares = math.fsum((number - mean) ** 2 for number in numbers)
    return result(math.sqrt(squares / (len(numbers) - freedom)))


@math_.add(
    "stdevP(value; ...)",
    "The standard deviation of a whole population.",
    ("stdevP(1; 2; 3; 4; 5)", 1.4142135623730951),
    extra="M",
)
def stdev_p(scope: Scope, *values: Any) -> Number | None:
    return _deviation(_numbers(values, scope), 0)


@math_.add(
    "stdevS(value; ...)",
    "The standard deviation of a sample; null for fewer than two numbers.",
    ("stdevS(1; 2; 3; 4; 5)", 1.5811388300841898),
    extra="M",
)
def stdev_s(scope: Scope, *values: Any) -> Number | None:
    return _deviation(_numbers(values, scope), 1)


@math_.add(
    "parseNumber(text; [decimalSeparator])",
    "Reads a number from a text. The decimal separator is a dot unless another is named; spaces, "
    "dots, "
    "commas and apostrophes between thousands are dropped.",
    ('parseNumber("1 756,456"; ",")', 1756.456),
    ('parseNumber("1.756,456"; ",")', 1756.456),
    ('parseNumber("1,756.5")', 1756.5),
)
def parse_number(scope: Scope, text: Any, separator: Any = None) -> Number | None:
    if is_empty(text):
        return None
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return text
    decimal = "." if is_empty(separator) else text_of(separator, scope)
    digits = text_of(text, scope).strip()
    for thousands in (" ", "\u00a0", "\u202f", "'", "\u2019", ".", ","):
        if thousands != decimal:
            digits = digits.replace(thousands, "")
    number = number_from_text(digits.replace(decimal, "."))
    if number is None:
        raise ExpressionError("the text is not a number")
    return result(number)


@math_.add(
    "formatNumber(number; decimals; [decimalSeparator]; [thousandsSeparator])",
    "Writes a number with a fixed count of decimals. The separators are a comma and, between "
    "thousands, a dot, unless others are named.",
    ("formatNumber(123456789; 3; ,; .)", "123.456.789,000"),
    ("formatNumber(1234.5; 2)", "1.234,50"),
    ('formatNumber(1234.5; 1; "."; space)', "1 234.5"),
    ('formatNumber(-1234.5; 0; "."; "")', "-1235"),
)
def format_number(
    scope: Scope, number: Any, decimals: Any, decimal: Any = ",", thousands: Any = "."
) -> str:
    if is_empty(number):
        return ""
    places = integer_of(decimals)
    if not 0 <= places <= _MOST_DIGITS:
        raise ExpressionError(f"decimals must be from 0 to {_MOST_DIGITS}")
    value = number_of(number)
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _PRECISE)
    whole, _, fraction = f"{abs(exact):,f}".partition(".")
    sign = "-" if exact < 0 else ""
    whole = whole.replace(",", text_of(thousands, scope))
    return f"{sign}{whole}{text_of(decimal, scope)}{fraction}" if fraction else f"{sign}{whole}"


@math_.add(
    "number(value)",
    "The value as a number.",
    ('number("12.5")', 12.5),
    extra="F",
)
def number_(scope: Scope, value: Any) -> Number | None:
    return None if is_empty(value) else result(number_of(value))


@math_.add(
    "div(number; divisor; ...)",
    "Divides the first number by each of the others in turn.",
    ("div(100; 5; 4)", 5),
    extra="F",
)
def div(scope: Scope, number: Any, *divisors: Any) -> Number:
    quotient = number_of(number)
    for divisor in divisors:
        by = number_of(divisor)
        if by == 0:
            raise ExpressionError("division by zero")
        quotient = result(quotient / by)
    return quotient


@math_.add(
    "sub(number; subtrahend; ...)",
    "Subtracts each of the others from the first number.",
    ("sub(10; 3; 2)", 5),
    extra="F",
)
def sub(scope: Scope, number: Any, *subtrahends: Any) -> Number:
    difference = number_of(number)
    for part in subtrahends:
        difference = result(difference - number_of(part))
    return difference


@math_.add(
    "prod(value; ...)",
    "Multiplies the numbers of an array, or the numbers given.",
    ("prod(2; 3; 4)", 24),
    extra="F",
)
def prod(scope: Scope, *values: Any) -> Number:
    product: Number = 1
    for number in _numbers(values, scope):
        product = result(product * number)
    return product


@math_.add(
    "power(base; exponent)",
    "The base to the power of the exponent.",
    ("power(2; 10)", 1024),
    ("power(4; 0.5)", 2),
    extra="F",
)
def power(scope: Scope, base: Any, exponent: Any) -> Number:
    return result(math.pow(number_of(base), number_of(exponent)))


@math_.add("sqrt(number)", "The square root.", ("sqrt(16)", 4), extra="F")
def sqrt(scope: Scope, number: Any) -> Number:
    value = number_of(number)
    if value < 0:
        raise ExpressionError("a negative number has no square root")
    return result(math.sqrt(value))


@math_.add("ln(number)", "The natural logarithm.", ("ln(1)", 0), extra="F")
def ln(scope: Scope, number: Any) -> Number:
    return result(math.log(_positive(number)))


@math_.add(
    "log(base; number)",
    "The logarithm of a number to a base.",
    ("log(2; 8)", 3),
    ("log(10; 1000)", 3),
    extra="F",
)
def log(scope: Scope, base: Any, number: Any) -> Number:
    root, value = _positive(base), _positive(number)
    if root == 1:
        raise ExpressionError("a logarithm to the base 1 does not exist")
    found = math.log(value) / math.log(root)
    nearest = round(found)
    # log(1000) / log(10) is 2.9999999999999996.
    exact = abs(found - nearest) < 1e-9 and math.isclose(math.pow(root, nearest), value)
    return nearest if exact else result(found)


def _positive(value: Any) -> Number:
    number = number_of(value)
    if number <= 0:
        raise ExpressionError("only a number above 0 has a logarithm")
    return number


@math_.add(
    "sortAscNum(value; ...)",
    "The numbers of an array, or the numbers given, smallest first.",
    ("sortAscNum(3; 1; 2)", [1, 2, 3]),
    extra="F",
)
def sort_asc_num(scope: Scope, *values: Any) -> list[Number]:
    return sorted(_numbers(values, scope))


@math_.add(
    "sortDescNum(value; ...)",
    "The numbers of an array, or the numbers given, largest first.",
    ("sortDescNum(3; 1; 2)", [3, 2, 1]),
    extra="F",
)
def sort_desc_num(scope: Scope, *values: Any) -> list[Number]:
    return sorted(_numbers(values, scope), reverse=True)

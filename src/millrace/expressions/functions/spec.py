"""How a function of the language is described: one place for its code, its text and its tests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Extra = Literal["M", "I", "F", "+"]
"""Whose function it is: Make's (M), also Integromat's (I), Fusion's only (F), ours (+)."""


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """A function of the language."""

    name: str
    group: str
    """The tab of the editor: general, math, text, date, array."""

    signature: str
    """As shown to users: ``substring(text; start; end)``. Optional arguments stand in brackets."""

    doc: str
    """One or a few sentences."""

    examples: tuple[tuple[str, Any], ...]
    """Expression and its result; every one runs as a test and is shown in the reference."""

    extra: Extra
    pure: bool
    """The result depends on the arguments alone, so a call with constants is made once."""

    lazy: bool
    """The code receives closures and evaluates only what it needs."""

    quiet: bool
    """A missing value as first argument is intended and gives no warning."""

    paths: bool
    """Arguments after the first are keys: a dotted name the scope does not know is its own text."""

    least: int
    most: int | None
    """Number of arguments; no upper bound is None."""

    call: Callable[..., Any]
    """``call(scope, *arguments)``."""


class FunctionTable:
    """The functions of one group, filled by its decorator."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.specs: dict[str, FunctionSpec] = {}

    def add(
        self,
        signature: str,
        doc: str,
        *examples: tuple[str, Any],
        extra: Extra = "I",
        pure: bool = True,
        lazy: bool = False,
        quiet: bool = False,
        paths: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated code under the name that the signature begins with.

        Args:
            signature: ``name(a; b; [c])``; ``...`` at the end stands for any number of them.
            doc: What it does, for the reference.
            examples: Pairs of expression and result.
            extra: Whose function it is.
            pure: The result depends on the arguments alone.
            lazy: The code receives closures.
            quiet: No warning about a missing first argument.
            paths: Arguments after the first are keys.
        """
        name, least, most = read_signature(signature)

        def register(call: Callable[..., Any]) -> Callable[..., Any]:
            self.specs[name] = FunctionSpec(
                name=name,
                group=self.group,
                signature=signature,
                doc=doc,
                examples=examples,
                extra=extra,
                pure=pure,
                lazy=lazy,
                quiet=quiet,
                paths=paths,
                least=least,
                most=most,
                call=call,
            )
            return call

        return register


def read_signature(signature: str) -> tuple[str, int, int | None]:
    """Name, least and most number of arguments of a signature."""
    match = re.fullmatch(r"(\w+)\((.*)\)", signature)
    if match is None:
        raise ValueError(f"not a signature: {signature}")
    arguments = [part.strip() for part in match[2].split(";") if part.strip()]
    least = sum(not part.startswith(("[", "...")) for part in arguments)
    return match[1], least, None if arguments and "..." in arguments[-1] else len(arguments)

"""How long the evaluation of a mapped text takes.

Method: each template is evaluated in batches; a batch's time divided by its size is one sample. The
minimum says what the code costs, the median what a busy machine makes of it.

    python benchmarks/expressions.py [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from datetime import UTC, datetime
from timeit import Timer

from millrace.expressions import Scope, compile_filter, compile_template

TEMPLATES = {
    "one reference": "{{1.email}}",
    "text with two references": "Dear {{1.name}}, order {{2.id}} is on its way",
    "five references, three functions": (
        '{{upper(1.name)}} <{{1.email}}>: {{ifempty(2.note; "none")}} '
        '{{if(2.total > 100; "big"; "small")}} {{2.total}}'
    ),
    "a number, formatted": '{{formatNumber(2.total; 2; "."; ",")}}',
    "a date, formatted": '{{formatDate(2.created; "YYYY-MM-DD HH:mm")}}',
    "map over 100 collections": '{{join(map(2.lines; "sku"); ", ")}}',
}
FILTER = [[{"a": "{{2.total}}", "o": "number:greater", "b": "100"}]]
BATCH = 2_000
RUNS = 7


def scope() -> Scope:
    """What the templates read."""
    return Scope(
        bundles={
            "1": {"name": "Ada", "email": "ada@example.com"},
            "2": {
                "id": 4711,
                "total": 129.5,
                "note": None,
                "created": datetime(2026, 11, 21, 12, tzinfo=UTC),
                "lines": [{"sku": f"A-{index}"} for index in range(100)],
            },
        },
        now=datetime(2026, 11, 21, 12, tzinfo=UTC),
        warnings=[],
    )


def measure(call: Timer, batch: int) -> dict[str, float]:
    """Microseconds of one call."""
    samples = [seconds / batch * 1e6 for seconds in call.repeat(RUNS, batch)]
    return {"min_us": min(samples), "median_us": statistics.median(samples)}


def main() -> None:
    """Print the figures, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    arguments = parser.parse_args()
    seen = scope()
    figures: dict[str, dict[str, float]] = {}
    for label, source in TEMPLATES.items():
        template = compile_template(source)
        batch = BATCH // 20 if "100" in label else BATCH
        figures[label] = measure(Timer(lambda t=template: t.evaluate(seen)), batch)
    passes = compile_filter(FILTER)
    figures["a filter of one condition"] = measure(Timer(lambda: passes(seen)), BATCH)
    if arguments.json:
        json.dump(figures, sys.stdout, indent=2)
        return
    for label, figure in figures.items():
        print(f"{label:36} {figure['min_us']:8.2f} µs min {figure['median_us']:8.2f} µs median")


if __name__ == "__main__":
    main()

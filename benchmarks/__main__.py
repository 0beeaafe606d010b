"""Take every figure and write it, with machine, date and command, to ``benchmarks/results/``.

python -m benchmarks          about three minutes on a quiet machine
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import timeit
from datetime import UTC, datetime
from pathlib import Path

from millrace.clock import SystemClock

RESULTS = Path(__file__).parent / "results"

FIGURES = {
    "webhooks": ["-m", "benchmarks.webhooks", "--requests", "20000"],
    "iterating 10,000": ["-m", "benchmarks.iterating", "--items", "10000"],
    "iterating 1,000,000": ["-m", "benchmarks.iterating", "--items", "1000000"],
    "resuming": ["-m", "benchmarks.resuming"],
    "expressions": ["benchmarks/expressions.py", "--json"],
}


def control() -> float:
    """A fixed piece of Python, in nanoseconds: how fast the machine is at this moment.

    Shared machines differ by a factor of two from one minute to the next; figures are compared only
    where this number is about the same.
    """
    return round(min(timeit.repeat(CONTROL, number=300_000, repeat=5)) / 300_000 * 1e9, 1)


CONTROL = "d = {}; d['a'] = 1; d.get('b')"


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    cpus = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in cpus.splitlines() if "model name" in line]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def main() -> None:
    now = SystemClock().now().astimezone(UTC)
    taken: dict[str, object] = {"date": f"{now:%Y-%m-%d %H:%M} UTC", "machine": machine()}
    for name, command in FIGURES.items():
        print(name, file=sys.stderr)
        run = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        taken[name] = {
            "command": f"python {' '.join(command)}",
            "control_ns": control(),
            "figures": json.loads(run.stdout),
        }
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{datetime.date(now)}.json"
    target.write_text(json.dumps(taken, indent=2) + "\n")
    print(target)


if __name__ == "__main__":
    main()

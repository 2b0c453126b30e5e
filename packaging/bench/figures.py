"""Shared by all benchmarks: a figure with its budget and verdict, the table, and the common options.

A figure is judged by its ratio to a peer in the same run if there is one, and otherwise by its value.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `values` are our runs, `ratios` those to the peer; `of` names what the limits apply to."""

    what: str
    unit: str
    values: tuple[float, ...] = ()
    ratios: tuple[float, ...] = ()
    of: str = "value"  # or "ratio"
    budget: float | None = None
    stretch: float | None = None
    at_least: bool = False  # the limits are lower bounds
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def verdict(self) -> str:
        """`stretch`, `met` or `MISSED`; empty if there is no budget or nothing was measured."""
        judged = self.ratio if self.of == "ratio" else self.median
        if judged is None or self.budget is None:
            return ""
        for word, limit in (("stretch", self.stretch), ("met", self.budget)):
            if limit is not None and (judged >= limit if self.at_least else judged <= limit):
                return word
        return "MISSED"

    def json(self) -> dict[str, Any]:
        """All fields and the medians."""
        return {**asdict(self), "median": self.median, "ratio": self.ratio, "verdict": self.verdict}


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("what", "median (lowest to highest)", "ratio to the peer", "budget; stretch", "verdict")]
    rows += [("---",) * 5]
    rows += [
        (f.what, _spread(f.values, f" {f.unit}"), _spread(f.ratios, " ×"), _limits(f), f.verdict or f.note or "–")
        for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "| " + " | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    notes = [f"{f.what}: {f.note}" for f in figures if f.note and f.verdict]
    return "\n".join([*lines, "", *notes]).rstrip()


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return "–"
    middle = f"{_short(statistics.median(values))}{unit}"
    return middle if len(values) == 1 else f"{middle} ({_short(min(values))}–{_short(max(values))})"


def _short(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _limits(f: Figure) -> str:
    if f.budget is None:
        return "–"
    sign, unit = "≥" if f.at_least else "≤", "×" if f.of == "ratio" else f.unit
    return f"{sign} {f.budget:g} {unit}" + (f"; {f.stretch:g}" if f.stretch is not None else "")


def noise() -> str:
    """The machine's load, without which no absolute time means anything."""
    one, five, _ = os.getloadavg()
    return f"load {one:.1f} now and {five:.1f} over five minutes, on {os.cpu_count()} processors"


def options(doc: str | None, runs: int) -> argparse.ArgumentParser:
    """A parser with `--quick`, `--json` and `--runs`."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="one run, briefly: shows that it works, not what it costs")
    made.add_argument("--json", action="store_true")
    made.add_argument("--runs", type=int, default=runs)
    return made


def show(figures: Sequence[Figure], given: argparse.Namespace) -> None:
    """Print the figures as a table or as JSON."""
    if given.json:
        print(json.dumps([figure.json() for figure in figures], indent=1))
    else:
        print(f"{noise()}\n\n{table(figures)}")

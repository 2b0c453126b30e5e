"""`python packaging/mutate.py`: would the tests notice if a rule in trayapp/core were different?

Changes one place of the core at a time (a comparison, `and` or `or`, a `not`, an operator, a constant, a statement that is
left out) in a temporary copy of the tree, and runs tests/core on each copy. A changed copy, a mutant, is killed when a
test fails; one that survives shows a rule that no test holds, or a change that makes no difference. Survivors are
printed with file, line and change, and the exit status is 1 if there are any. Run it by hand: it takes seconds per mutant.

    python packaging/mutate.py --file gate.py                  every mutant of one file
    python packaging/mutate.py --sample 150 --seed 7 --jobs 2  so many of all files, the same ones for the same seed
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORE = Path("trayapp/core")
COPIED = ("trayapp", "tests", "packaging", "pyproject.toml", "README.md")
LIMIT = 90.0  # s for one run of the tests; they take about 5, and a mutant may loop for ever
SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
REMOVED = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Return, ast.Continue, ast.Delete)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: the bytes from `start` to `end` of `file` become `new`."""

    file: Path
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: `{' '.join(self.old.split())}` -> `{self.new}`"


# --- making mutants --------------------------------------------------------------------------------------------------


def mutants(root: Path, file: Path) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines."""
    source = (root / file).read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, new in sorted(_changes(ast.parse(source)), key=lambda change: change[0].lineno):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        found.append(Mutant(file, node.lineno, start, end, source[start:end].decode(), new))
    return found


def _changes(module: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Each place that can be changed, with the text that replaces it."""
    for node, in_function in _code(module, in_function=False):
        match node:
            case ast.Compare(ops=ops):
                for place in range(len(ops)):
                    yield node, _swapped(node, place)
            case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in SWAPPED:
                yield node, _swapped(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield node, f"({ast.unparse(operand)})"
            case ast.Constant(value=bool(value)):
                yield node, str(not value)
            case ast.Constant(value=int(value) | float(value)):
                yield node, str(value + 1)
            case ast.Constant(value=str(value)) if value and " " not in value:  # a key or a code; prose is no rule
                yield node, repr(f"not-{value}")
            case ast.stmt() if isinstance(node, REMOVED) and in_function:
                yield node, "pass"


def _swapped(node: Any, place: int | None = None) -> str:
    """The expression with another operator; `place` counts those of a comparison."""
    other = deepcopy(node)
    if place is None:
        other.op = SWAPPED[type(node.op)]()
    else:
        other.ops[place] = SWAPPED[type(node.ops[place])]()
    return f"({ast.unparse(other)})"


def _code(node: ast.AST, in_function: bool) -> Iterator[tuple[ast.AST, bool]]:
    """What runs: no docstrings, annotations, decorators or formatted strings; and whether it is inside a function."""
    yield node, in_function
    if isinstance(node, ast.JoinedStr):
        return
    inside = in_function or isinstance(node, ast.FunctionDef)
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            documents = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and not documents:
                yield from _code(child, inside)


# --- running the tests on them ---------------------------------------------------------------------------------------


class Copies:
    """As many copies of the tree as there are jobs, each used by one job at a time."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._made = 0
        for number in range(jobs):
            copy = folder / str(number)
            copy.mkdir()
            for name in COPIED:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
                elif (ROOT / name).exists():
                    shutil.copy(ROOT / name, copy / name)
            self._free.put(copy)

    def outcome(self, mutant: Mutant | None) -> str:
        """`killed`, `survived` or `timed out`; None: the tree as it is."""
        copy = self._free.get()
        try:
            if mutant is None:
                return _run(copy)
            path = copy / mutant.file
            source, times = path.read_bytes(), path.stat()
            path.write_bytes(source[: mutant.start] + mutant.new.encode() + source[mutant.end :])
            self._made += 1
            os.utime(path, (times.st_atime, times.st_mtime + self._made))  # no two share a compiled file
            try:
                return _run(copy)
            finally:
                path.write_bytes(source)
                os.utime(path, (times.st_atime, times.st_mtime))
        finally:
            self._free.put(copy)


def _run(copy: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", "tests/core"]
    environment = os.environ | {"PYTHONPATH": str(copy)}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "timed out"
    return "survived" if done.returncode == 0 else "killed"


def main() -> int:
    """Mutate, test, and say what survived."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0].partition(": ")[2])
    parser.add_argument(
        "--file", action="append", metavar="NAME", help="only this file of trayapp/core; may be repeated"
    )
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants, chosen at random (default: all)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which ones (default: 0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many run at the same time (default: 1)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = Copies(Path(folder), arguments.jobs)
        base = Path(folder) / "0"  # the tree may change while this runs
        names = arguments.file or sorted(path.name for path in (base / CORE).glob("*.py"))
        chosen = [mutant for name in names for mutant in mutants(base, CORE / name)]
        if arguments.sample is not None and arguments.sample < len(chosen):
            chosen = random.Random(arguments.seed).sample(chosen, arguments.sample)
        if copies.outcome(None) != "survived":
            sys.exit("tests/core fails without any change: fix that first.")
        with ThreadPoolExecutor(arguments.jobs) as pool:
            outcomes = []
            for mutant, outcome in zip(chosen, pool.map(copies.outcome, chosen), strict=True):
                outcomes.append(outcome)
                if outcome == "survived":
                    print(mutant, flush=True)
    survived, late = outcomes.count("survived"), outcomes.count("timed out")
    print(f"{len(outcomes)} mutants: {len(outcomes) - survived} killed ({late} by the time limit), {survived} survived")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())

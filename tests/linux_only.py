"""Tests that are Linux's by nature, on other systems.

A module says so in `pytestmark`: `pytest.mark.linux("why")`, or `desktop` or `real`. There it is skipped unread, because
its imports may not exist (dbus_fast, pty, fcntl). A single test has the same marker.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

REASONS = {"desktop": "the headless desktop", "real": "servers and clients that are set up on Linux"}

PACKAGES = {**REASONS, "packaging": "the repository is built and checked on Linux"}  # skipped unread, conftest and all


def elsewhere() -> bool:
    """Whether this is another system than Linux."""
    return sys.platform != "linux"


class SkippedModule(pytest.Module):
    """A module whose code isn't run."""

    reason = ""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Nothing, and the reason."""
        pytest.skip(f"Linux: {self.reason}", allow_module_level=True)


def module_reason(source: str) -> str | None:
    """Why the whole module is Linux's; None if it isn't."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(it, ast.Name) and it.id == "pytestmark" for it in node.targets
        ):
            return next(_reasons(node.value), None)
    return None


def item_reason(item: pytest.Item) -> str | None:
    """Why this test is Linux's; None if it isn't."""
    for name in ("linux", *REASONS):
        if (marker := item.get_closest_marker(name)) is not None:
            return str(marker.args[0]) if name == "linux" else REASONS[name]
    return None


def _reasons(value: ast.expr) -> Iterator[str]:
    for node in ast.walk(value):
        match node:
            case ast.Call(func=ast.Attribute(attr="linux"), args=[ast.Constant(value=str() as reason)]):
                yield reason
            case ast.Attribute(attr=name) if name in REASONS:
                yield REASONS[name]


def make_module(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """The collector of a module that is skipped here; None leaves the module to pytest."""
    if not elsewhere() or (reason := module_reason(module_path.read_text(encoding="utf-8"))) is None:
        return None
    module: SkippedModule = SkippedModule.from_parent(parent, path=module_path)
    module.reason = reason
    return module


class SkippedPackage(pytest.File):
    """A directory whose conftest isn't read; pytest reads that of a `pytest.Directory`."""

    reason = ""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Nothing, and the reason."""
        pytest.skip(f"Linux: {self.reason}", allow_module_level=True)


def make_package(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The collector of a package that is skipped here; None leaves the package to pytest."""
    if not elsewhere() or path.parent.name != "tests" or path.name not in PACKAGES:
        return None
    package: SkippedPackage = SkippedPackage.from_parent(parent, path=path)
    package.reason = PACKAGES[path.name]
    return package

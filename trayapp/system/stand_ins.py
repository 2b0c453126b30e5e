"""Stand-ins for modules that libraries import and hardly ever use: the real one is loaded when it is first used.

While the libraries are loading, a stand-in has the module's place in `sys.modules`, so `import locale` gets that. Whatever
is then asked of it comes from the real module. Once everything is loaded no stand-in is left there, so later imports get
the real modules.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

_lock = threading.Lock()  # other threads import meanwhile


class StandIn(ModuleType):
    """Has the attributes it is given; asks the real module for any other."""

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__(name)
        vars(self).update(given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python looks for `__file__` and `__path__` in every module
            raise AttributeError(name)
        _remove(self.__name__)
        return getattr(import_module(self.__name__), name)


@contextlib.contextmanager
def standing_in(*stand_ins: StandIn) -> Iterator[None]:
    """Those whose real module hasn't been loaded stand in for it."""
    with _lock:
        for each in stand_ins:
            sys.modules.setdefault(each.__name__, each)
    try:
        yield
    finally:
        for each in stand_ins:
            _remove(each.__name__)


def later(module: str, name: str) -> Callable[..., Any]:
    """A function or class of a module that is loaded when it is first called."""
    return lambda *arguments, **named: getattr(import_module(module), name)(*arguments, **named)


def _remove(name: str) -> None:
    with _lock:
        if isinstance(sys.modules.get(name), StandIn):
            del sys.modules[name]

"""Modules that libraries import at their start and use later, or never: they are loaded when something of them is used.

Python has the same as `importlib.util.LazyLoader`, which two threads can break before 3.12, and whose modules are loaded
by a mere `from … import`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

# Always right, as what is used gets loaded. Each is there once the icon is to be shown, or shortly after.
DEFERRED: Mapping[str, Mapping[str, Any]] = {
    "attr.validators": {},  # attrs: checks, of which aiohttp's classes have none; 0.3 MB
    "bz2": {},  # shutil: archives
    "lzma": {},
    "stringprep": {},  # the codec for names of hosts, if one isn't ASCII; 0.1 MB
    "uuid": {},  # aiohttp: parts of forms; 0.1 MB
}
# Right only for these libraries, while they are imported: what they take from a module, for features that nothing here uses.
UNUSED: Mapping[str, Mapping[str, Any]] = {
    "argparse": {"ArgumentParser": None},  # aiohttp: a command line; 0.3 MB with gettext
    "html.entities": {"html5": {}},  # html, of which aiohttp and we use `escape`: for `unescape`; 0.3 MB
    "importlib.metadata": {"version": str},  # httpx2: for a header that we set; 0.8 MB with zipfile and csv
    "pickle": {"_Unpickler": object},  # aiohttp: cookies in a file; 0.1 MB
}
ABSENT = ("trio",)  # httpx2: for another kind of event loop; often installed for something else

_lock = threading.Lock()


class Deferred(ModuleType):
    """A module with some names, or none. Any other name loads the real module and comes from there, in any thread."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks every module
            raise AttributeError(name)
        with _lock:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def defer(names: Mapping[str, Mapping[str, Any]]) -> list[Deferred]:
    """Put a `Deferred` in the place of each module that isn't loaded yet."""
    made = [Deferred(name) for name in names if name not in sys.modules]
    for module in made:
        module.__dict__.update(names[module.__name__])
        sys.modules[module.__name__] = module
    return made


@contextlib.contextmanager
def without_unused() -> Iterator[None]:
    """Wrap the import of aiohttp and httpx2 in this. Who imports a module of `UNUSED` later, gets the real one."""
    made = defer(UNUSED)
    absent = [name for name in ABSENT if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is how Python says that a module isn't there
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)
        for module in made:
            package, _, child = module.__name__.rpartition(".")
            if sys.modules.get(module.__name__) is module:
                del sys.modules[module.__name__]
            if vars(sys.modules.get(package, module)).get(child) is module:
                delattr(sys.modules[package], child)

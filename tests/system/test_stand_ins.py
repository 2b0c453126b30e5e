"""Stand-ins for modules: nothing is loaded before the first use, and then it is the real one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trayapp.system.stand_ins import StandIn, later, standing_in

LIBRARY = """
import rare
from rare import given
import package.rarer as rarer

def used():
    return rare.value, given(), rarer.value
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library that imports two modules and rarely uses them."""
    (tmp_path / "package").mkdir()
    for name, text in (
        ("library.py", LIBRARY),
        ("rare.py", "value = 1\ndef given():\n    return 2\n"),
        ("package/__init__.py", ""),
        ("package/rarer.py", "value = 3\n"),
    ):
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("library", "rare", "package", "package.rarer")
    yield
    for name in names:
        sys.modules.pop(name, None)


def test_a_module_is_loaded_when_something_of_it_is_used(library: None) -> None:
    """While the library loads, stand-ins take its imports; afterwards none is left, and a use loads the real module."""

    import package  # type: ignore[import-not-found]

    with standing_in(StandIn("rare", given=later("rare", "given")), StandIn("package.rarer")):
        import library as loaded  # type: ignore[import-not-found]

    assert {"rare", "package.rarer"}.isdisjoint(sys.modules)
    assert (1, 2, 3) == loaded.used()
    assert ["1", str(package.rarer.value)] == [str(sys.modules["rare"].value), "3"]


def test_a_use_while_stand_ins_are_in_place_loads_it_too(library: None) -> None:
    """Whatever it wasn't given, the real module has, which then stays."""

    with standing_in(StandIn("rare")):
        from rare import value  # type: ignore[import-not-found]

        assert 1 == value
        assert not isinstance(sys.modules["rare"], StandIn)
    assert 1 == sys.modules["rare"].value


def test_a_loaded_module_keeps_its_place(library: None) -> None:
    """It is there already, so nothing is saved by a stand-in."""

    import rare

    with standing_in(StandIn("rare")):
        assert rare is sys.modules["rare"]
    assert rare is sys.modules["rare"]


def test_what_a_module_lacks_is_an_attribute_error(library: None) -> None:
    """As with the real module; and a look for `__file__` or `__path__`, as Python makes, loads nothing."""

    stand_in = StandIn("rare")
    with standing_in(stand_in):
        assert not hasattr(stand_in, "__file__")
        assert isinstance(sys.modules["rare"], StandIn)
        with pytest.raises(AttributeError):
            _ = stand_in.nothing


def test_threads_that_use_it_at_once_get_the_same_module(library: None, tmp_path: Path) -> None:
    """Both wait until it is loaded, and it is loaded once."""

    (tmp_path / "rare.py").write_text("import time\ntime.sleep(0.05)\nvalue = object()\n")
    stand_in, found, ready = StandIn("rare"), list[object](), threading.Barrier(4)

    def use() -> None:
        ready.wait()
        found.append(stand_in.value)

    with standing_in(stand_in):
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (4, 1) == (len(found), len(set(found)))

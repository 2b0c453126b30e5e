"""No console window flashes up on Windows: every start of a process says so, or is none there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

WITHOUT = {  # file and function: why no flag is needed
    "cli/exec_command.py:_run_child": "the person's command, in their console",
    "cli/editors.py:_open": "the person's editor, in their console",
    "autostart/macos.py:launchctl": "macOS",
    "stdio/starter.py:_of_systemd": "Linux",
    "system/browser.py:_run": "Linux",
    "system/clipboard.py:_pipe_to": "Linux and macOS",
    "system/running.py:_by_ps": "macOS",
    "system/running.py:_named_by_ps": "macOS",
    "system/session_bus.py:_of_systemd": "Linux",
}
STARTS = {
    "subprocess": {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"},
    "os": {"system", "popen", "startfile", "posix_spawn", "posix_spawnp"},
    "asyncio": {"create_subprocess_exec", "create_subprocess_shell"},
}
LOOPS = {"subprocess_exec", "subprocess_shell", "create_subprocess_exec", "create_subprocess_shell"}


def starts(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call that starts a process, with the innermost function around it."""

    def walk(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
            if isinstance(child, ast.Call) and is_start(child.func):
                yield inner, child
            yield from walk(child, inner)

    yield from walk(tree, "")


def is_start(called: ast.expr) -> bool:
    match called:
        case ast.Attribute(value=ast.Name(id="os"), attr=name) if name.startswith("spawn"):
            return True
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return name in STARTS.get(module, ()) or name in LOOPS
        case ast.Attribute(attr=name):
            return name in LOOPS
    return False


def hidden_imports(tree: ast.AST) -> list[str]:
    """Names that `starts` would not see: `from subprocess import run`, `import subprocess as other`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in STARTS:
            found += [each.name for each in node.names if each.name in STARTS[node.module]]
        elif isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name in STARTS and each.asname]
    return found


def test_every_start_of_a_process_says_that_it_opens_no_console() -> None:
    """`creationflags`, and where none are given, the reason is here; what isn't needed any more is not."""

    without = set[str]()
    with_flags = 0
    for file in sorted((ROOT / "trayapp").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assert [] == hidden_imports(tree), file
        for function, call in starts(tree):
            if any(keyword.arg == "creationflags" for keyword in call.keywords):
                with_flags += 1
            else:
                without.add(f"{file.relative_to(ROOT / 'trayapp').as_posix()}:{function}")
    assert set(WITHOUT) == without
    assert with_flags >= 3


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n subprocess.run([])", ["f"]),
        ("async def f():\n def g():\n  subprocess.Popen([])\n await asyncio.create_subprocess_exec('a')", ["g", "f"]),
        ("os.system('a')\nos.spawnv(0, 'a', [])\nloop.subprocess_exec(p, 'a')", ["", "", ""]),
        ("subprocess.list2cmdline([])\nos.path.join('a')\nrun()", []),
    ],
)
def test_the_search_finds_them(source: str, found: list[str]) -> None:
    """A search that misses some would pass for ever."""

    assert found == [function for function, _ in starts(ast.parse(source))]


def test_imports_that_hide_them_are_found() -> None:
    """By another name or without their module."""

    source = (
        "from subprocess import Popen, PIPE\nimport subprocess as s, os\nfrom asyncio import create_subprocess_exec"
    )
    assert ["Popen", "subprocess", "create_subprocess_exec"] == hidden_imports(ast.parse(source))


def test_the_reasons_name_files_that_are_there() -> None:
    """Each is a function of ours."""

    for place in WITHOUT:
        file, function = place.split(":")
        assert f"def {function}(" in Path(ROOT / "trayapp" / file).read_text(encoding="utf-8")

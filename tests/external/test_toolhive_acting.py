"""Having ToolHive restart and stop a workload: by its API, else by its command, and never at another program's cost."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from tests.external.api_server import Answer, ApiServer
from tests.external.tree import CANARY, Tree
from trayapp.external import toolhive_api, toolhive_command
from trayapp.external.owner import ExternalError, PendingError

UNREACHABLE = "http://127.0.0.1:1"
RESTART, STOP = ("POST /api/v1beta/workloads/a/restart", "POST /api/v1beta/workloads/a/stop")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def failed(tree: Tree) -> Tree:
    """A workload `a` that needs a restart."""
    tree.add("a", "unauthenticated", 11, "invalid_grant")
    return tree


def stops(tree: Tree, word: str = "stopped") -> None:
    """The process of `a` ends, and the file says so."""
    tree.processes.clear()
    tree.status("a", word)


def command(tree: Tree, directory: Path, script: str) -> Path:
    """Put a `thv` on the PATH that runs this Python; it writes its arguments and input to the file returned."""
    noted = directory / "noted"
    program = directory / "thv"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(noted)!r}, 'a').write(repr(sys.argv[1:] + [sys.stdin.read()]))\n{script}",
        encoding="utf-8",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    tree.command = str(program)
    return noted


def refusal(tree: Tree, verb: str = "restart", name: str = "a") -> str:
    with pytest.raises(ExternalError) as error:
        getattr(tree.owner(), verb)(name)
    assert CANARY not in str(error.value)
    assert is_pending(str(error.value)) is isinstance(error.value, PendingError)
    return str(error.value)


def is_pending(text: str) -> bool:
    """Whether ToolHive may do it yet: nobody knows what became of what was asked."""
    return any(
        each in text
        for each in (" within ", "still running", "it didn't answer with HTTP", "it didn't answer (", "more than 4 MiB")
    )


# --- by the API ------------------------------------------------------------------------------------------------------


def test_the_api_restarts_it(failed: Tree) -> None:
    """One request, after it has proved to be ToolHive's."""

    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart")
        failed.owner().restart("a")
        assert ["GET /health", RESTART] == api.asked
        assert all("Authorization" not in headers for headers in api.headers)


@pytest.mark.linux("Unix sockets")
def test_the_api_at_a_socket(failed: Tree, tmp_path: Path) -> None:
    """The same by another way."""

    with ApiServer().on_socket(tmp_path / "s") as api:
        failed.serves(api.url)
        api.acts("a", "restart")
        failed.owner().restart("a")
        assert [RESTART] == api.asked[1:]


@pytest.mark.parametrize("word", ["running", "starting"])
def test_one_that_runs_is_stopped_first(tree: Tree, word: str) -> None:
    """ToolHive's own restart does nothing to it, or starts a second one."""

    tree.add("a", word, 11)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "restart")
        api.acts("a", "stop")
        tree.on_sleep = lambda: stops(tree, "stopped" if word == "running" else word)
        tree.owner().restart("a")
        assert ["GET /health", STOP, "GET /health", RESTART] == api.asked
        assert tree.slept > 0


def test_its_stop_is_over_before_it_is_started_again(tree: Tree) -> None:
    """The API answers first and stops then, and ends whatever process it finds there."""

    tree.add("a", "running", 11)
    del tree.processes[11]  # killed
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "restart")
        api.acts("a", "stop")
        steps = iter([("running", 0), ("stopping", 0), ("stopped", 0)])
        asked = []

        def step() -> None:
            asked.append(list(api.asked))
            tree.status("a", *next(steps))

        tree.on_sleep = step
        tree.owner().restart("a")
        assert [["GET /health", STOP]] * 3 == asked
        assert RESTART == api.asked[-1]


def test_one_that_was_killed_while_it_started(tree: Tree) -> None:
    """ToolHive's restart is enough."""

    tree.add("a", "starting", 11)
    del tree.processes[11]
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "restart")
        tree.owner().restart("a")
        assert [RESTART] == api.asked[1:]


def test_one_in_a_terminal_that_toolhive_does_not_stop(tree: Tree) -> None:
    """It isn't in the record, but it listens: nobody is told that it has stopped."""

    tree.add("a", "auth_retrying")
    tree.ports.add(19101)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "stop")
        assert "a is still running" in refusal(tree, "stop")


def test_a_restart_while_its_server_is_out_of_reach(failed: Tree) -> None:
    """ToolHive would open a page that can't be loaded, and give up after 30 s."""

    failed.unreachable = "mcp.example.com"
    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart")
        assert (
            "a wasn't restarted: mcp.example.com can't be reached, so ToolHive would only open a sign-in page. "
            "Try again when you're online."
        ) == refusal(failed)
        assert [] == api.asked
        failed.unreachable = ""
        failed.owner().restart("a")
        assert [RESTART] == api.asked[1:]


@pytest.mark.parametrize(("word", "left"), [("running", "stopped"), ("auth_retrying", "auth_retrying")])
def test_a_stop_waits_for_the_end_of_the_process(tree: Tree, word: str, left: str) -> None:
    """Whatever word the file has then."""

    tree.add("a", word, 11)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "stop")
        seen = []

        def end() -> None:
            seen.append(api.asked[-1])
            if len(seen) == 3:
                stops(tree, left)

        tree.on_sleep = end
        tree.owner().stop("a")
        assert [STOP] * 3 == seen


def test_a_stop_of_one_that_is_removed(tree: Tree) -> None:
    """It is gone, which is what was asked for."""

    tree.add("a", "running", 11)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "stop")

        def remove(_: str) -> None:
            tree.processes.clear()
            (tree.run_configs / "a.json").unlink(missing_ok=True)

        api.on_request = remove
        tree.owner().stop("a")


def test_a_stop_that_has_no_effect(tree: Tree) -> None:
    """After its limit, a sentence says so."""

    tree.add("a", "running", 11)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "stop")
        assert (
            "a is still running 15 seconds after ToolHive was asked to stop it. Run `thv stop a` in a terminal to see why."
        ) == refusal(tree, "stop")
        assert 15 <= tree.slept < 16


def test_a_stop_after_which_the_file_is_damaged(tree: Tree) -> None:
    """Then nobody knows."""

    tree.add("a", "running", 11)
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", "stop")

        def damage() -> None:
            tree.processes.clear()
            (tree.statuses / "a.json").write_text("{", encoding="utf-8")

        tree.on_sleep = damage
        assert "ToolHive was asked to stop a, but" in (text := refusal(tree, "stop"))
        assert text.endswith("a.json is damaged: it isn't valid JSON.")


HTML = Answer(200, b"<!doctype html><p>Welcome to the guest network", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (Answer(401), "it refused, because its API requires a sign-in (401)"),
        (Answer(403), "it refused, because its API requires a sign-in (403)"),
        (Answer(404), "it no longer has this workload"),
        (Answer(400, CANARY.encode()), "it refused (400)"),
        (Answer(500, CANARY.encode()), "it failed (500); see its log"),
        (Answer(503), "it failed (503); see its log"),
        (Answer(302, headers={"Location": "/elsewhere"}), "it gave an unexpected answer (302)"),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), "it didn't answer with HTTP"),
        (Answer(raw=b""), "it didn't answer with HTTP"),
        (Answer(202, b"x" * (5 << 20)), "it answered with more than 4 MiB"),
    ],
)
def test_what_the_api_may_answer(failed: Tree, answer: Answer, what: str) -> None:
    """One sentence each, with what to do, and nothing of its text."""

    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart", answer)
        api.answers["GET /elsewhere"] = HTML
        wanted = f"ToolHive didn't restart a: {what}. Run `thv restart a` in a terminal to see why."
        assert wanted == refusal(failed)
        assert 2 == len(api.asked)


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_that_takes_too_long(failed: Tree, monkeypatch: pytest.MonkeyPatch, *, announced: bool) -> None:
    """Not even one that comes a byte at a time."""

    monkeypatch.setattr(toolhive_api, "ANSWER_LIMIT", 0.3)
    with ApiServer().on_port() as api:
        failed.serves(api.url)
        slow = Answer(202, b"1234", hold=threading.Event())
        if not announced:
            slow.headers = {"Transfer-Encoding": "chunked"}
        api.acts("a", "restart", slow)
        assert "it didn't answer within 0.3 seconds" in refusal(failed)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>", "it didn't answer with a list of workloads"),
        (b"[]", "it didn't answer with a list of workloads"),
        (b'{"workloads": {}}', "it didn't answer with a list of workloads"),
        (b"[" * 10000, "it didn't answer with a list of workloads"),
    ],
)
def test_a_list_that_is_none(tree: Tree, body: bytes, what: str) -> None:
    """One sentence."""

    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.answers["GET /api/v1beta/workloads?all=true"] = Answer(200, body)
        with pytest.raises(ExternalError) as error:
            tree.owner().read()
        assert f"Can't read ToolHive's workloads: {what}." == str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:8080",
        "http://localhost:8080",
        "http://mcp.example.com:8080",
        "https://127.0.0.1:8080",
        "http://127.0.0.1",
        "http://[::1",
        "http://127.0.0.1:99999",
        "unix://host/run/thv.sock",
        "unix:///nowhere/thv.sock",
        "unix:///tmp/../etc/passwd",
        "npipe://thv",
        "file:///etc/passwd",
        "http://[::1%lo]:8080",
        "http://[::1%a b\x7f]:8080",
        "http://[fe80::1%lo]:8080",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:\ud800",
        f"http://127.0.0.1:{'9' * 5000}",
        "http://127.0.0.1\0:8080",
        "unix:///x%00",
        "unix:///\0",
        "unix:///\ud800",
        "unix:///%ED%A0%80",
        f"unix:///{'x' * 5000}",
        "",
        7,
        True,
        None,
        [],
    ],
)
def test_an_address_elsewhere_is_not_asked(failed: Tree, url: str) -> None:
    """Only this machine is, by a number or a socket of this user."""

    failed.serves(url)
    assert (
        "ToolHive didn't restart a: its API isn't running, and `thv` isn't on the PATH. Start ToolHive and try again."
    ) == refusal(failed)


@pytest.mark.parametrize("nonce", ["\ud800", "nonce\r\nX: y", "nonce\n", "\xe9", "\0", " ", "x" * 10000, 7, True, None])
def test_a_nonce_that_no_answer_can_have(failed: Tree, nonce: object) -> None:
    """It is as if there were no API."""

    with ApiServer().on_port() as api:
        failed.serves(api.url, nonce=nonce)  # type: ignore[arg-type]
        assert "its API isn't running" in refusal(failed)
        assert RESTART not in api.asked


@pytest.mark.parametrize("given", ["n\xf6nce", "nonce\xff", ""])
def test_a_nonce_of_somebody_else(failed: Tree, given: str) -> None:
    """Whatever bytes it has."""

    with ApiServer().on_port() as api:
        api.answers["GET /health"] = Answer(204, headers={"X-Toolhive-Nonce": given})
        failed.serves(api.url)
        assert "its API isn't running" in refusal(failed)


@pytest.mark.parametrize("pid", [1 << 70, -1, True, 1.5, "7", None])
def test_a_number_of_its_process_that_is_none(failed: Tree, pid: object) -> None:
    """Then it doesn't say which it is."""

    with ApiServer().on_port() as api:
        failed.serves(api.url, pid=pid)  # type: ignore[arg-type]
        assert frozenset({11}) == failed.owner().read().processes
        api.acts("a", "restart")
        failed.owner().restart("a")


@pytest.mark.linux("Unix sockets")
def test_a_socket_whose_path_is_too_long(failed: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can't be connected to isn't there."""

    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)
    with ApiServer().on_socket(Path("thv.sock")):
        failed.serves(f"unix://{deep}/thv.sock")
        assert "its API isn't running" in refusal(failed)


def test_what_was_left_by_one_that_crashed(failed: Tree) -> None:
    """Nobody listens there, or somebody else does."""

    failed.serves(UNREACHABLE)
    assert "its API isn't running" in refusal(failed)
    with ApiServer().on_port() as api:
        failed.serves(api.url, nonce="of the one before")
        api.acts("a", "restart")
        assert "its API isn't running" in refusal(failed)
        failed.serves(api.url, nonce="")
        assert "its API isn't running" in refusal(failed)
        assert RESTART not in api.asked


@pytest.mark.linux("symbolic links")
def test_a_link_in_place_of_its_record(failed: Tree, tmp_path: Path) -> None:
    """ToolHive's own clients refuse it, too."""

    with ApiServer().on_port() as api:
        failed.serves(api.url)
        (failed.server / "server.json").rename(tmp_path / "other.json")
        (failed.server / "server.json").symlink_to(tmp_path / "other.json")
        assert "its API isn't running" in refusal(failed)
        assert [] == api.asked


def test_a_proxy_of_the_environment_is_not_used(failed: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is this machine."""

    monkeypatch.setenv("HTTP_PROXY", UNREACHABLE)
    monkeypatch.setenv("http_proxy", UNREACHABLE)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart")
        failed.owner().restart("a")
        assert [RESTART] == api.asked[1:]


# --- by the command --------------------------------------------------------------------------------------------------


@pytest.mark.linux("a script as a program")
def test_the_command_restarts_it(failed: Tree, tmp_path: Path) -> None:
    """With no input, and nothing but the name on its command line."""

    noted = command(failed, tmp_path, "")
    failed.owner().restart("a")
    assert "['restart', '--', 'a', '']" == noted.read_text(encoding="utf-8")


@pytest.mark.linux("a script as a program")
def test_the_command_stops_it(tree: Tree, tmp_path: Path) -> None:
    """And then the process is waited for."""

    tree.add("a", "running", 11)
    noted = command(tree, tmp_path, "")
    tree.on_sleep = lambda: stops(tree)
    tree.owner().stop("a")
    assert "['stop', '--', 'a', '']" == noted.read_text(encoding="utf-8")


@pytest.mark.linux("a script as a program")
def test_an_api_that_wants_a_sign_in_is_left_alone(failed: Tree, tmp_path: Path) -> None:
    """The command needs none. Any other refusal is ToolHive's answer."""

    noted = command(failed, tmp_path, "")
    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart", Answer(401))
        failed.owner().restart("a")
        assert "['restart', '--', 'a', '']" == noted.read_text(encoding="utf-8")
        api.acts("a", "restart", Answer(500))
        assert "it failed (500)" in refusal(failed)


@pytest.mark.linux("a script as a program")
@pytest.mark.parametrize(
    ("script", "what"),
    [
        (
            'print(\'{"level":"INFO"}\\nError: failed to create workload manager: no container runtime found\')\nsys.exit(1)',
            "failed: failed to create workload manager: no container runtime found",
        ),
        (f"print('Error: token=sk-{CANARY}1234567890abcdef')\nsys.exit(1)", "failed: token=***"),
        ("sys.exit(3)", "failed (3)"),
        ("print('x' * 200000)\nsys.exit(1)", "failed (1)"),
        ("import time\ntime.sleep(60)", "didn't finish within 1 seconds"),
    ],
)
def test_a_command_that_fails(
    failed: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, what: str
) -> None:
    """Its own reason, without what looks like a secret."""

    monkeypatch.setattr(toolhive_command, "LIMIT", 1.0)
    command(failed, tmp_path, script)
    assert f"ToolHive didn't restart a: `thv restart a` {what}." == refusal(failed)


def test_a_command_that_is_no_program(failed: Tree, tmp_path: Path) -> None:
    """Such as one that was removed meanwhile."""

    failed.command = str(tmp_path / "nothing")
    assert "ToolHive didn't restart a: `thv restart a` can't be started:" in refusal(failed)


@pytest.mark.linux("a script as a program")
def test_a_workload_that_keeps_the_output_open(failed: Tree, tmp_path: Path) -> None:
    """The command has ended, so nothing waits."""

    command(
        failed,
        tmp_path,
        "import os, time\nif os.fork() == 0:\n    open('noted-pid', 'w').write(str(os.getpid()))\n    time.sleep(30)\n",
    )
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        failed.owner().restart("a")
        for _ in range(1000):
            if (tmp_path / "noted-pid").exists() and (text := (tmp_path / "noted-pid").read_text(encoding="utf-8")):
                os.kill(int(text), 9)
                break
            threading.Event().wait(0.01)
        else:
            pytest.fail("the child did not start")
    finally:
        os.chdir(before)


# --- at nobody else's cost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["restart", "stop"])
def test_a_process_number_that_is_somebody_elses(tree: Tree, verb: str) -> None:
    """ToolHive would end that program."""

    tree.add("a", "auth_retrying", 11)
    tree.processes[11] = "libreoffice"
    with ApiServer().on_port() as api:
        tree.serves(api.url)
        api.acts("a", verb)
        text = refusal(tree, verb)
        assert text.startswith("ToolHive's record of a is out of date: process 11 is now libreoffice")
        assert text.endswith(f"Delete {tree.statuses / 'a.json'} and try again.")
        assert [] == api.asked


@pytest.mark.parametrize("name", ["--all", "../a", "", "a/b", "a b", "x" * 101])
def test_a_name_that_is_none(tree: Tree, name: str) -> None:
    """Neither an option nor a path is passed on."""

    with ApiServer().on_port() as api:
        tree.serves(api.url)
        assert f"ToolHive has no workload {name!r}." == refusal(tree, name=name)
        assert [] == api.asked


def test_a_workload_whose_record_is_damaged(failed: Tree) -> None:
    """ToolHive says itself what it can do."""

    (failed.statuses / "a.json").write_text("{", encoding="utf-8")
    with ApiServer().on_port() as api:
        failed.serves(api.url)
        api.acts("a", "restart")
        failed.owner().restart("a")
        assert [RESTART] == api.asked[1:]

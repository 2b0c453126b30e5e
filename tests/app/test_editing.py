"""The running program edits its configuration: add, change, rename, remove, and settings; also across a restart."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli.client import ApiError
from trayapp.config import editor, toml_edit
from trayapp.config.loader import load
from trayapp.core.model import Secret, Trouble
from trayapp.core.presentation import Verb
from trayapp.oauthtest import OAuthServer
from trayapp.server.keys import Keys

BASE = "/api/v1beta"
ONE = f"{BASE}/workloads/one"


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer) -> Program:
    program = Program(tmp_path)
    program.write("# mine\n" + CONFIG.format(port=0, server=server))
    program.keystore._logins["one"] = login_of(server)
    return program


def again(program: Program) -> Program:
    """The same installation, started anew."""
    return Program(program.paths.state_dir.parent, program.keystore)


def refused(program: Program, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str, Any]:
    with pytest.raises(ApiError) as caught:
        program.client.request(method, path, body)
    return caught.value.status, caught.value.code, caught.value.body


def named(program: Program) -> set[str]:
    return set(load(program.paths, {}).workloads)


# --- removing --------------------------------------------------------------------------------------------------------


def test_what_is_removed_does_not_return(program: Program, server: OAuthServer) -> None:
    """Its entry goes with its login, and comments of the rest stay."""

    with program:
        program.becomes("running ok")
        program.client.request("DELETE", ONE)
        program.until(lambda: not program.last.workloads, "the removal")
        assert set() == named(program)
        assert program.paths.config_file.read_text().startswith("# mine\n")
        assert program.client.reload()["ok"]
        program.until(lambda: server.count("revoke") == 1, "the revocation")
    restarted = again(program)
    with restarted:
        assert {} == restarted.last.workloads
    assert {} == program.keystore._logins


def test_several_are_removed(program: Program, server: OAuthServer) -> None:
    """At once, from the same file; none comes back while the others go."""

    names = [f"w{number}" for number in range(5)]
    more = "".join(f'[workloads.{name}]\nurl = "http://127.0.0.1:9/mcp"\n' for name in names)
    program.write(CONFIG.format(port=0, server=server) + more)
    with program:
        program.becomes("running ok")
        program.until(lambda: {*names, "one"} == set(program.last.workloads), "the start")
        began = len(program.snapshots)
        program.client.request("POST", f"{BASE}/workloads/delete", {"names": ["one", *names]}, 30.0)
        assert set() == named(program)
        program.until(lambda: not program.last.workloads, "the removal")
        for name in ("one", *names):
            seen = [name in snapshot.workloads for snapshot in program.snapshots[began:]]
            assert sorted(seen, reverse=True) == seen, f"{name} came back"


def counted(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> list[str]:
    """Grows with each call of this function."""
    calls: list[str] = []
    function = getattr(where, name)

    def call(*arguments: Any) -> Any:
        calls.append(name)
        return function(*arguments)

    monkeypatch.setattr(where, name, call)
    return calls


def test_many_are_removed_by_few_edits(program: Program, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is parsed for editing a few times and the keys are written once, however many workloads go."""

    names = [f"w{number}" for number in range(40)]
    more = "".join(f'[workloads.{name}]\nurl = "http://127.0.0.1:9/mcp"\n' for name in names)
    program.write(CONFIG.format(port=0, server=server) + more)
    parsed = counted(monkeypatch, toml_edit, "_document")
    written = counted(monkeypatch, Keys, "_write")
    with program:
        program.becomes("running ok")
        program.until(lambda: {*names, "one"} == set(program.last.workloads), "the start")
        for name in names:
            program.runtime.keys.key(name)
        written.clear()
        program.client.request("POST", f"{BASE}/workloads/delete", {"names": ["one", *names]}, 30.0)
        assert set() == named(program)
        assert 1 == len(written)
        assert len(parsed) < 10


def test_of_several_the_site_wide_one_stays(program: Program, server: OAuthServer) -> None:
    """The answer names the file that it is in; the others are gone."""

    text = program.paths.config_file.read_text()
    program.paths.site_config_file.parent.mkdir()
    program.paths.site_config_file.write_text('[workloads.site]\nurl = "http://127.0.0.1:9/mcp"\n')
    program.write(text)
    with program:
        program.becomes("running ok")
        body = {"names": ["site", "one"]}
        status, code, answer = refused(program, "POST", f"{BASE}/workloads/delete", body)
        assert (409, "configuration") == (status, code)
        assert "only an administrator can change" in answer["message"]
        assert {"site"} == named(program)
        assert "one" not in program.keystore._logins


@pytest.mark.parametrize("why", ["read-only", "site"])
def test_a_login_is_kept_if_its_entry_cannot_go(program: Program, server: OAuthServer, why: str) -> None:
    """The answer says why, and nothing was deleted."""

    if why == "site":
        program.paths.site_config_file.parent.mkdir()
        program.paths.config_file.rename(program.paths.site_config_file)
    with program:
        program.becomes("running ok")
        if why == "read-only":
            program.paths.config_file.chmod(0o400)
        status, code, body = refused(program, "DELETE", ONE)
        assert (409, "configuration") == (status, code)
        assert ("read-only" if why == "read-only" else "only an administrator can change") in body["message"]
        assert "running ok" == program.status()
        assert "one" in program.keystore._logins


def test_an_entry_that_cannot_go_after_all(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk filled up meanwhile: the answer says so, and the workload is there, without its login."""

    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device", str(program.paths.config_file))

    with program:
        program.becomes("running ok")
        monkeypatch.setattr(editor, "remove", full)
        status, code, body = refused(program, "DELETE", ONE)
        assert (409, "configuration") == (status, code)
        assert "No space left on device" in body["message"]
        program.until(lambda: "never_signed_in" in program.status(), "its return")
        monkeypatch.undo()
        program.client.request("DELETE", ONE)
        assert set() == named(program)


def signing_in(program: Program) -> None:
    """Begin a sign-in that nobody completes."""
    program.becomes("running ok")
    program.client.request("POST", f"{ONE}/reauthorize", {"browser": False}, 30.0)
    program.until(lambda: program.last.workloads["one"].auth.signing_in, "the sign-in")


@pytest.mark.parametrize("path", ["DELETE /workloads/one", "POST /workloads/delete"])
def test_a_removal_says_that_it_ended_a_sign_in(program: Program, path: str) -> None:
    """For one workload and for several."""

    method, _, where = path.partition(" ")
    with program:
        signing_in(program)
        body = {"names": ["one"]} if method == "POST" else None
        answer = program.client.request(method, BASE + where, body, 30.0)
        assert ["The sign-in to one was cancelled."] == answer["notes"]


def test_a_sign_out_keeps_the_workload(program: Program, server: OAuthServer) -> None:
    """The login is revoked and deleted, the entry stays."""

    with program:
        program.becomes("running ok")
        program.client.post("one", "sign-out", {})
        program.until(lambda: "never_signed_in" in program.status(), "the sign-out")
        program.until(lambda: not program.keystore._logins, "the deletion")
        assert {"one"} == named(program)


# --- adding ----------------------------------------------------------------------------------------------------------


def test_add_corrects_what_was_typed(program: Program) -> None:
    """Name and address; one that nobody has signed in to is corrected in place, another one is not."""

    with program:
        program.becomes("running ok")
        made = program.client.request("POST", f"{BASE}/workloads", {"name": " My Files", "url": "localhost:9/x "})
        assert ("my-files", "http://localhost:9/x") == (made["name"], made["url"])
        program.until(lambda: "never_signed_in" in program.status("my-files"), "the new one")
        program.client.request("POST", f"{BASE}/workloads", {"name": "my-files", "url": "localhost:9/y", "mcp": "on"})
        spec = load(program.paths, {}).workloads["my-files"]
        assert ("http://localhost:9/y", "on") == (spec.url, spec.mcp)
        status, code, body = refused(program, "POST", f"{BASE}/workloads", {"name": "One", "url": "https://x.example"})
        assert (409, "name_taken", {"name"}) == (status, code, set(body["fields"]))


def test_all_that_is_wrong_is_said_at_once(program: Program) -> None:
    """By field, each with one sentence; nothing is written."""

    before = program.paths.config_file.read_text()
    with program:
        body = {"name": "!", "url": "http://x.example", "scopes": "a b", "ceiling": "soon"}
        status, code, answer = refused(program, "POST", f"{BASE}/workloads", body)
        assert (400, "bad_value", ["name", "url", "scopes", "ceiling"]) == (status, code, list(answer["fields"]))
        assert answer["fields"]["url"].startswith("Must start with https://")
        body = {"name": "a", "url": "https://x.example", "token_endpoint": "https://x.example/token"}
        status, code, answer = refused(program, "POST", f"{BASE}/workloads", body)
        assert (400, ["authorization_endpoint"]) == (status, list(answer["fields"]))
    assert before == program.paths.config_file.read_text()


def test_a_server_without_registration_says_what_to_create(program: Program, server: OAuthServer) -> None:
    """The exact redirect address, the same each time; with the client the workload is added, its secret in the keyring
    alone."""

    before = program.paths.config_file.read_text()
    body = {"name": "two", "url": server.url + "/mcp", "issuer": server.issuer, "check": True}
    with program:
        program.becomes("running ok")
        answers = [refused(program, "POST", f"{BASE}/workloads", body) for _ in range(2)]
        status, code, answer = answers[0]
        assert (409, "client_id_needed", "client_id") == (status, code, answer["field"])
        assert answers[0] == answers[1]
        assert f"http://127.0.0.1:{answer['redirect_port']}/callback" == answer["redirect_uri"]
        assert answer["client_secret"] in ("required", "optional", "none")
        assert before == program.paths.config_file.read_text()
        more = {"client_id": "c", "client_secret": "canary-secret", "redirect_port": answer["redirect_port"]}
        program.client.request("POST", f"{BASE}/workloads", body | more)
        spec = load(program.paths, {}).workloads["two"]
        assert ("c", answer["redirect_port"]) == (spec.client_id, spec.redirect_port)
        assert "canary-secret" not in program.paths.config_file.read_text()
        kept = program.keystore._clients["two"].reveal()
        assert "canary-secret" == json.loads(kept)["secret"]


def test_a_hosted_document_is_client_enough(program: Program, server: OAuthServer) -> None:
    """Where the server takes such (Client ID Metadata Documents), no client has to be created; `[settings]` names it."""

    server.metadata_changes = {"client_id_metadata_document_supported": True}
    document = 'client_metadata_url = "https://ada.example/client.json"'
    program.write(CONFIG.format(port=0, server=server).replace("[settings]", f"[settings]\n{document}"))
    with program:
        program.becomes("running ok")
        body = {"name": "two", "url": server.url + "/mcp", "issuer": server.issuer, "check": True}
        program.client.request("POST", f"{BASE}/workloads", body)
    assert "https://ada.example/client.json" == load(program.paths, {}).workloads["two"].client_metadata_url
    assert 1 == program.paths.config_file.read_text().count("client_metadata_url")


def test_an_address_that_nobody_answers_leaves_nothing_behind(program: Program) -> None:
    """If the server is looked at first."""

    before = program.paths.config_file.read_text()
    with program:
        body = {"name": "two", "url": "http://127.0.0.1:9/mcp", "check": True}
        status, _, answer = refused(program, "POST", f"{BASE}/workloads", body)
        assert (409, ["url"]) == (status, list(answer["fields"]))
    assert before == program.paths.config_file.read_text()


def test_a_secret_that_the_keyring_does_not_take_adds_nothing(program: Program) -> None:
    """Locked, for example."""

    async def locked(name: str, text: Secret) -> Trouble:
        return Trouble.LOCKED

    program.keystore.store_client = locked  # type: ignore[method-assign]
    with program:
        body = {"name": "two", "url": "https://x.example", "client_id": "c", "client_secret": "s"}
        assert (409, "keyring") == refused(program, "POST", f"{BASE}/workloads", body)[:2]
        assert {"one"} == named(program)


# --- changing --------------------------------------------------------------------------------------------------------


def test_a_workload_is_changed(program: Program) -> None:
    """Keys are set and taken out; the revision keeps an edit by hand from being overwritten."""

    with program:
        program.becomes("running ok")
        page = program.client.request("GET", f"{ONE}/settings")
        rows = {row["name"]: row for row in page["settings"]}
        assert (["mcp"], True) == (rows["scopes"]["value"], rows["scopes"]["changed"])
        answer = program.client.edit("one", {"scopes": None, "ceiling": "2h"})
        assert "Changed one." == answer["message"]
        assert "one already has these values." == program.client.edit("one", {"ceiling": "2h"})["message"]
        spec = load(program.paths, {}).workloads["one"]
        assert ((), 7200.0) == (spec.scopes, spec.policy.ceiling)
        assert (400, "bad_value") == refused(program, "PATCH", ONE, {"url": None})[:2]
        assert "running ok" == program.status()


def test_settings_are_shown_and_changed(program: Program) -> None:
    """With the menu's choice of Mute; a wrong value changes none of them."""

    with program:
        program.becomes("running ok")
        program.act(Verb.MUTE)
        program.until(lambda: program.last.muted, "muted")
        rows = {row["name"]: row for row in program.client.request("GET", f"{BASE}/settings")["settings"]}
        assert (True, "menu", False) == (rows["muted"]["value"], rows["muted"]["source"], rows["muted"]["changed"])
        assert (400, "bad_value") == refused(program, "PATCH", f"{BASE}/settings", {"muted": False, "settle": 1})[:2]
        changes = {"muted": False, "quiet_hours": "22:00-07:00", "notifications": ["sign_in"]}
        rows = {row["name"]: row for row in program.client.change_settings(changes)["settings"]}
        assert (False, "file") == (rows["muted"]["value"], rows["muted"]["source"])
        program.until(lambda: not program.last.muted, "not muted")
        assert ("22:00-07:00", ("sign_in",)) == (
            load(program.paths, {}).settings.quiet_hours,
            load(program.paths, {}).settings.notifications,
        )


# --- renaming --------------------------------------------------------------------------------------------------------


def test_a_renamed_workload_keeps_all_it_has(program: Program, server: OAuthServer) -> None:
    """Login, history, local key and client record; it is running again, also after a restart."""

    with program:
        program.green()
        key = program.runtime.keys.key("one")
        program.keystore._clients["one"] = Secret("{}")
        answer = program.client.edit("one", {"name": "Two"})
        assert ("Renamed one to two.", "two") == (answer["message"], answer["workload"]["name"])
        program.green("two")
        assert (["two"], ["two"], {"two"}) == (
            list(program.keystore._logins),
            list(program.keystore._clients),
            named(program),
        )
        assert key.reveal() == program.runtime.keys.key("two").reveal()
        assert program.runtime.keys.find("one") is None
        rows = program.client.request("GET", f"{BASE}/workloads/two/history")["rows"]
        assert len(rows) > 1
        assert not program.paths.renames_file.exists()
        assert 0 == server.count("revoke")
    restarted = again(program)
    with restarted:
        restarted.until(lambda: restarted.status("two") == "running ok", "green")
        assert ["two"] == list(restarted.last.workloads)


def test_a_rename_says_that_it_ended_a_sign_in(program: Program) -> None:
    """And how to begin another, under the new name."""

    with program:
        signing_in(program)
        answer = program.client.edit("one", {"name": "two"})
        again = "To sign in again, run `amberlight reauthorize two`."
        assert [f"The sign-in to one was cancelled. {again}"] == answer["notes"]
        program.green("two")
        assert not program.last.workloads["two"].auth.signing_in


def test_an_edit_says_that_a_sign_in_is_outdated(program: Program) -> None:
    """Whoever completed it would have signed in for nothing; the next one is for the new client. Edits of the file, too."""

    with program:
        signing_in(program)
        assert [] == program.client.edit("one", {"mcp": "on"})["notes"]
        note = (
            "The sign-in to one in progress is for its earlier configuration. "
            "To sign in with the new one, run `amberlight reauthorize one`."
        )
        assert [note] == program.client.edit("one", {"client_id": "another"})["notes"]
        assert note in program.client.reload()["warnings"]
        begun = program.client.request("POST", f"{ONE}/reauthorize", {"browser": False}, 30.0)
        assert "client_id=another" in begun["authorization_url"]
        assert [] == program.client.reload()["warnings"]


def test_a_rename_that_cannot_begin_ends_no_sign_in(program: Program) -> None:
    """It's still under way, and nothing else is said."""

    with program:
        signing_in(program)
        program.paths.config_file.chmod(0o400)
        _, _, body = refused(program, "PATCH", ONE, {"name": "two"})
        assert "cancelled" not in body["message"]
        assert program.last.workloads["one"].auth.signing_in


def test_a_rename_that_fails_says_that_it_ended_a_sign_in(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk filled up meanwhile: the sign-in has ended anyway."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(program.paths.config_file))

    with program:
        signing_in(program)
        monkeypatch.setattr(editor, "rename", full)
        _, _, body = refused(program, "PATCH", ONE, {"name": "two"})
        assert "No space left on device" in body["message"]
        assert body["message"].endswith("was cancelled. To sign in again, run `amberlight reauthorize one`.")


def test_a_paused_workload_stays_paused(program: Program) -> None:
    """Under its new name."""

    with program:
        program.green()
        program.client.post("one", "stop")
        program.until(lambda: program.status().startswith("stopped"), "paused")
        program.client.edit("one", {"name": "two"})
        program.until(lambda: program.status("two").startswith("stopped"), "paused")


@pytest.mark.parametrize("new", ["other", "Nö", "x" * 64])
def test_a_name_that_is_taken_or_invalid(program: Program, server: OAuthServer, new: str) -> None:
    """Nothing changes."""

    program.write(CONFIG.format(port=0, server=server) + '[workloads.other]\nurl = "http://127.0.0.1:9/mcp"\n')
    with program:
        program.becomes("running ok")
        status, _, body = refused(program, "PATCH", ONE, {"name": new})
        assert (409 if new == "other" else 400, ["name"]) == (status, list(body["fields"]))
        assert "running ok" == program.status()
        assert {"one", "other"} == named(program)


def test_a_name_whose_login_is_still_in_the_keyring(program: Program, server: OAuthServer) -> None:
    """It was taken out of the file by hand, and may come back."""

    program.keystore._logins["two"] = login_of(server)
    with program:
        program.becomes("running ok")
        status, code, body = refused(program, "PATCH", ONE, {"name": "two"})
        assert (409, "name_taken") == (status, code)
        assert "still has a login" in body["message"]
        assert "running ok" == program.status()


def test_a_login_in_memory_only_is_not_renamed(program: Program) -> None:
    """Moving it would lose it."""

    async def full(name: str, login: object) -> Trouble:
        return Trouble.FAILED

    program.keystore.store = full  # type: ignore[method-assign]
    with program:
        program.becomes("running not_stored")
        status, _, body = refused(program, "PATCH", ONE, {"name": "two"})
        assert 409 == status
        assert "isn't saved in the keyring yet" in body["message"]
        program.until(lambda: program.status().startswith("running"), "running")
        assert {"one"} == named(program)


def test_a_file_that_cannot_be_written_renames_nothing(program: Program) -> None:
    """And the workload runs on."""

    with program:
        program.green()
        program.paths.config_file.chmod(0o400)
        assert (409, "configuration") == refused(program, "PATCH", ONE, {"name": "two"})[:2]
        program.green()
        assert not program.paths.renames_file.exists()


@pytest.mark.parametrize("written", [False, True], ids=["before the file", "after the file"])
def test_a_rename_that_a_crash_cut_short(program: Program, written: bool) -> None:
    """The file decides: the login is at the name that it has, and no longer paused for the rename."""

    move = {"name": "one", "new": "two", "resume": True}
    program.paths.renames_file.write_text(json.dumps({"version": 1, "moves": [move]}))
    if written:
        program.write(program.paths.config_file.read_text().replace("[workloads.one]", "[workloads.two]"))
    with program:
        name = "two" if written else "one"
        program.green(name)
        assert ([name], [name]) == (list(program.last.workloads), list(program.keystore._logins))
        program.until(lambda: not program.paths.renames_file.exists(), "the end of the move")


def test_a_move_waits_for_the_keyring(program: Program) -> None:
    """Nobody uses the login meanwhile; once the keyring is unlocked it moves."""

    move = {"name": "one", "new": "two", "resume": False}
    program.paths.renames_file.write_text(json.dumps({"version": 1, "moves": [move]}))
    program.write(program.paths.config_file.read_text().replace("[workloads.one]", "[workloads.two]"))
    moved = program.keystore.move

    async def locked(name: str, new: str) -> Trouble:
        return Trouble.LOCKED

    program.keystore.move = locked  # type: ignore[method-assign]
    with program:
        program.until(lambda: "keyring_locked" in program.status("two"), "locked")
        assert ["one"] == list(program.keystore._logins)
        program.keystore.move = moved  # type: ignore[method-assign]
        loop = program.runtime.engine._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(program.runtime.engine.keyring_up()))
        program.green("two")
        assert ["two"] == list(program.keystore._logins)


def test_a_look_at_the_server_of_a_workload_that_is_there(program: Program, server: OAuthServer) -> None:
    """What it wants, and nothing is changed."""

    more = f'[workloads.two]\nurl = "{server.url}/mcp"\nissuer = "{server.issuer}"\n'
    program.write(text := CONFIG.format(port=0, server=server) + more)
    with program:
        program.becomes("running ok")
        status, code, body = refused(program, "PATCH", f"{BASE}/workloads/two", {"check": True})
        assert (409, "client_id_needed") == (status, code)
        assert body["redirect_uri"].startswith("http://127.0.0.1:")
        program.client.edit("one", {"check": True})
        assert text == program.paths.config_file.read_text()


def test_what_is_being_renamed_is_not_removed(program: Program) -> None:
    """Its login would stay behind under the new name."""

    with program:
        program.becomes("running ok")
        program.runtime.edits.renames.begin("one", "two", resume=False)
        assert (409, "busy") == refused(program, "DELETE", ONE)[:2]
        assert "one" in program.keystore._logins


def test_edits_at_once(program: Program) -> None:
    """Each is kept, or refused; none is lost."""

    names = [f"w{number}" for number in range(6)]
    with program, ThreadPoolExecutor() as pool:
        program.becomes("running ok")
        client = program.client
        adds = [pool.submit(client.add, {"name": name, "url": f"https://{name}.example"}) for name in names]
        change = pool.submit(client.change_settings, {"strikes": 9})
        rename = pool.submit(client.edit, "one", {"name": "two"})
        assert names == [each.result() for each in adds]
        assert change.result()
        assert rename.result()
        assert {*names, "two"} == named(program)
        assert 9 == load(program.paths, {}).settings.policy.strikes
        program.green("two")

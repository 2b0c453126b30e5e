"""The real keyring replaced by an empty one under the running app: the logins are written into it, and survive a restart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from trayapp.oauthtest import Grant, OAuthServer

pytestmark = [pytest.mark.desktop, pytest.mark.oauth_server(access_token_lifetime=3600, grace=0)]
SECRETS = "org.freedesktop.secrets"
LOGIN = "/org/freedesktop/secrets/collection/login"


@pytest.fixture
def own_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk for one test, whose keyring may be destroyed; the bus starts none."""
    require_desk()
    with Desk(keyring_password=None, panel=False, notifications=False) as desk:
        desk.keyring_password = "the first one"
        desk.start_keyring()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desk.env["DBUS_SESSION_BUS_ADDRESS"])
        yield desk


@pytest.fixture
def program(own_desk: Desk, tmp_path: Path, server: OAuthServer, grant: Grant) -> Iterator[Program]:
    """Signed in and green; its next refresh is an hour away."""
    program = Program(own_desk, tmp_path, server, "--no-tray")
    program.sign_in(grant)
    with program:
        program.until_is("running", "ok")
        yield program


def replace_keyring(desk: Desk) -> None:
    """What an uninstalled provider or a deleted file leaves: another daemon with an empty keyring."""
    desk.stop_keyring()
    shutil.rmtree(desk.root / "data/keyrings")
    desk.keyring_password = "another one"
    desk.start_keyring()


def stored_token(program: Program) -> str:
    login = program.stored_login()
    return login.refresh_token.reveal() if login else ""


def current_token(server: OAuthServer, grant: Grant) -> str:
    token = server.current_refresh_token(grant.family)
    assert token, "the login is alive"
    return token


def assert_survives(program: Program, server: OAuthServer, grant: Grant) -> None:
    """The login is in the new keyring, and the next run is green by it alone."""
    program.until_is("running", "ok")  # if it has just been started, it refreshes
    wait_for(lambda: stored_token(program) == current_token(server, grant), "the login in the new keyring")
    assert 0 == program.quit(), program.tail()
    with program:
        program.until_is("running", "ok")
        assert server.valid_access(program.token())
        assert 0 == server.count("authorize")


def test_an_empty_keyring_takes_its_place(own_desk: Desk, program: Program, server: OAuthServer, grant: Grant) -> None:
    """Nothing was refreshed since: the login comes from memory."""

    refreshes = server.count("token")
    replace_keyring(own_desk)
    assert_survives(program, server, grant)
    assert refreshes + 1 == server.count("token"), "that of the second run"


def test_it_is_replaced_while_paused(own_desk: Desk, program: Program, server: OAuthServer, grant: Grant) -> None:
    """A paused login is held as well."""

    program.run("stop", program.name)
    program.until_is("stopped", "paused")
    replace_keyring(own_desk)
    wait_for(lambda: stored_token(program), "the login in the new keyring")
    program.run("start", program.name)
    assert_survives(program, server, grant)


def test_the_collection_is_deleted_and_made_anew(
    own_desk: Desk, program: Program, server: OAuthServer, grant: Grant
) -> None:
    """As Seahorse does it: the service stays, and so does its name."""

    delete_collection(own_desk)
    wait_for(lambda: not own_desk.has_default_collection(), "the end of the collection")
    create_collection(own_desk)
    assert_survives(program, server, grant)


def delete_collection(desk: Desk) -> None:
    collection = DBusAddress(LOGIN, SECRETS, "org.freedesktop.Secret.Collection")
    with open_dbus_connection(desk.env["DBUS_SESSION_BUS_ADDRESS"]) as bus:
        bus.send_and_get_reply(new_method_call(collection, "Delete"))


def create_collection(desk: Desk) -> None:
    """Make a default collection with a password and without a dialog, by a call of gnome-keyring's own."""
    service = DBusAddress("/org/freedesktop/secrets", SECRETS, "org.freedesktop.Secret.Service")
    own = service.with_interface("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface")
    with open_dbus_connection(desk.env["DBUS_SESSION_BUS_ADDRESS"]) as bus:
        session = bus.send_and_get_reply(new_method_call(service, "OpenSession", "sv", ("plain", ("s", "")))).body[1]
        arguments = ({"org.freedesktop.Secret.Collection.Label": ("s", "mine")}, (session, b"", b"new", "text/plain"))
        reply = bus.send_and_get_reply(new_method_call(own, "CreateWithMasterPassword", "a{sv}(oayays)", arguments))
        alias = ("default", reply.body[0])
        bus.send_and_get_reply(new_method_call(service, "SetAlias", "so", alias))

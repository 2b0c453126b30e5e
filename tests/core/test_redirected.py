"""A token endpoint that redirects: the status says where to, and the login stays bound to the endpoint it came from."""

from __future__ import annotations

from tests.core.history import ENDPOINT, Player, played, player
from trayapp.core import machine
from trayapp.core.gate import Gate
from trayapp.core.model import Secret
from trayapp.core.outcomes import Refreshed
from trayapp.core.public import auth_json
from trayapp.core.view import derive

MOVED = "https://as.example/token/?tenant=acme"


def refreshed(p: Player, redirected_to: str) -> Player:
    """The attempt in flight ends with a new token."""
    p.w, _ = machine.step(p.w, p.finished(Refreshed(Secret("a"), None, 1000.0, redirected_to=redirected_to)))
    return p


def shown(p: Player) -> object:
    return auth_json(derive(p.w, Gate(), p.now).auth)["redirected_to"]


def test_the_status_says_where_the_last_refresh_was_redirected() -> None:
    """Without the query, and no longer once the endpoint itself answers."""

    p = refreshed(played(player(), "loaded; go; probe ok"), MOVED)
    assert shown(p) == "https://as.example/token/"

    p = refreshed(played(p, "+900 time; go; probe ok"), "")
    assert shown(p) is None


def test_the_login_stays_bound_to_its_own_endpoint() -> None:
    """Neither its endpoint nor its fingerprint follows the redirect."""

    p = played(player(), "loaded; go; probe ok")
    before = p.w.login
    p = refreshed(p, MOVED)

    assert before is not None
    assert p.w.login is not None
    assert (before.fingerprint(), ENDPOINT) == (p.w.login.fingerprint(), p.w.login.token_endpoint)


def test_a_sign_in_knows_nothing_of_the_old_redirect() -> None:
    """It may be at another server."""

    p = refreshed(played(player(), "loaded; go; probe ok"), MOVED)
    p = played(p, "signed-in")

    assert shown(p) is None

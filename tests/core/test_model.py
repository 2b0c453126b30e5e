"""Values that keep their secrets, and what they know of themselves."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from tests.core.history import access, login
from trayapp.core.model import Secret, Spec, Workload


def test_a_secret_never_shows_itself() -> None:
    """Not by repr, str, format, in a list, or inside a login."""

    secret = Secret("CANARY")
    shown = f"{secret} {secret!r} {[secret]} {replace(login(), refresh_token=secret)}"

    assert "CANARY" not in shown
    assert "CANARY" == secret.reveal()


def test_a_secret_is_not_pickled() -> None:
    """A pickle would be a file with a token in it."""

    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Secret("CANARY"))


def test_secrets_compare_by_value() -> None:
    """A rotation is recognised by its token."""

    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert 1 == len({Secret("a"), Secret("a")})
    assert not Secret("")


def test_the_fingerprint_names_the_combination() -> None:
    """Another token, client, secret, endpoint or scope is another combination."""

    own = login()
    others = [
        replace(own, refresh_token=Secret("x")),
        replace(own, client_id="x"),
        replace(own, client_secret=Secret("x")),
        replace(own, token_endpoint="https://x.example/"),
        replace(own, scope="x"),
    ]

    assert len(others) + 1 == len({each.fingerprint() for each in (own, *others)})
    assert own.fingerprint() == replace(own, generation=9, obtained_at=9.0).fingerprint()
    assert "L1" not in own.fingerprint()


def test_a_rotation_keeps_the_lineage() -> None:
    """The next generation; a scope in the answer replaces the old one."""

    rotated = login().rotated(Secret("new"), 5.0, "less")

    assert (2, "L", "less", 5.0) == (rotated.generation, rotated.lineage, rotated.scope, rotated.obtained_at)
    assert "" == login().rotated(Secret("new"), 5.0).scope


def test_a_token_is_usable_until_ten_seconds_before_its_end() -> None:
    """A short-lived one until a tenth of its life before."""

    assert access(1, 0.0, 1000.0).usable(989.9, 10.0)
    assert not access(1, 0.0, 1000.0).usable(990.0, 10.0)
    assert access(1, 0.0, 30.0).usable(26.9, 10.0)
    assert not access(1, 0.0, 30.0).usable(27.0, 10.0)
    assert access(1, 0.0, None).usable(1e9, 10.0)
    assert not replace(access(1, 0.0, None), rejected=True).usable(1.0, 10.0)


def test_a_token_lasts_as_long_as_it_says() -> None:
    """What a caller asked for is held against the real end, without any margin."""

    assert access(1, 0.0, 100.0).lasts(40.0, 60.0)
    assert not access(1, 0.0, 100.0).lasts(41.0, 60.0)
    assert access(1, 0.0, None).lasts(1e9, 60.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_loopback_endpoints_are_known(host: str) -> None:
    """By the configuration, or by the login once there is one."""

    local = Workload(Spec("w", "u", token_endpoint=f"http://{host}:1/token"))

    assert local.loopback
    assert not replace(local, login=login()).loopback

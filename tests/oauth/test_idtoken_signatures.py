"""ID token signatures: every usual algorithm verifies, and nothing else does."""

from __future__ import annotations

import base64
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.oauth.idtokens import KEYS, PUBLIC, judged, signed, unsigned
from trayapp.core.id_claims import subject_of
from trayapp.core.model import Secret
from trayapp.oauth import jose


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_every_usual_algorithm(algorithm: str) -> None:
    """By the named key, and where none is named by any of the kind."""

    assert "ok" == judged(signed(algorithm))
    assert "ok" == judged(signed(algorithm, header={"kid": ""}))


def test_another_key_or_a_changed_token() -> None:
    """One bit anywhere, or somebody else's key: no."""

    assert "signature" == judged(signed(key=ECKey.generate_key("P-256", {"kid": "e"})))
    head, body, sign = signed().split(".")
    other = signed(sub="mallory").split(".")[1]
    assert "signature" == judged(f"{head}.{other}.{sign}")
    assert "signature" == judged(f"{head}.{body}.")


def test_a_key_that_the_server_does_not_have() -> None:
    """Said apart from a wrong signature: the server may have changed its keys."""

    assert "no_key" == judged(signed(key=ECKey.generate_key("P-256", {"kid": "unknown"})))
    assert "no_key" == judged(signed(), keys=[])


@pytest.mark.parametrize("algorithm", ["none", "NONE", None, 7, ""])
def test_an_unsigned_token_is_none(algorithm: object) -> None:
    """`none` in every spelling is refused, with any keys and secrets."""

    assert judged(unsigned({"alg": algorithm}), secret="s" * 40) in ("none", "algorithm")


def test_a_shared_secret() -> None:
    """HS256 counts only with the client's secret, and a public key is never taken for one."""

    secret = "s" * 40
    token = signed("HS256", key=OctKey.import_key(secret, {"kid": "x"}))
    assert "ok" == judged(token, secret=secret)
    assert "signature" == judged(token, secret="t" * 40)
    assert "algorithm" == judged(token)
    pem = KEYS["RS256"].as_pem(private=False).decode()
    head, body, _ = signed("HS256", key=OctKey.import_key(secret, {"kid": "r"})).split(".")
    mac = hmac.digest(pem.encode(), f"{head}.{body}".encode(), "sha256")
    confused = f"{head}.{body}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert "algorithm" == judged(confused)
    assert "algorithm" == judged(confused, keys=[*PUBLIC, {"kty": "oct", "k": "c2VjcmV0", "kid": "r"}])


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_key_that_is_too_small() -> None:
    """RSA of 1024 bits proves nothing (RFC 7518 section 3.3)."""

    small = RSAKey.generate_key(1024, {"kid": "small"})
    assert "no_key" == judged(signed("RS256", key=small), keys=[small.as_dict(private=False)])


def test_keys_for_something_else() -> None:
    """A key for encryption, or for another algorithm, signs nothing; a mad one beside a good one does no harm."""

    good = KEYS["ES256"].as_dict(private=False)
    assert "no_key" == judged(signed(), keys=[good | {"use": "enc"}])
    assert "no_key" == judged(signed(), keys=[good | {"alg": "ES384"}])
    mad: list[object] = [7, {}, {"kty": "EC", "kid": "e", "crv": "P-256", "x": "!", "y": []}, {"kty": "AKP"}, None]
    assert "ok" == judged(signed(), keys=[*mad, good])
    assert "no_key" == judged(signed(), keys=[*([good | {"kid": "other"}] * 40), good])  # no list without end


def test_a_critical_header_that_nobody_knows() -> None:
    """`crit` (RFC 7515 section 4.1.11): not understood is not accepted; other extra headers are."""

    head = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": "e", "crit": ["b64"], "b64": False}).encode())
    _, body, sign = signed().split(".")
    assert "signature" == judged(f"{head.decode().rstrip('=')}.{body}.{sign}")
    assert "ok" == judged(signed(header={"x5t": "dGVzdA", "custom": "y"}))


@given(st.binary(max_size=80), st.integers(0, 400))
@settings(max_examples=60)
def test_a_mangled_token_is_never_ok(noise: bytes, at: int) -> None:
    """Bytes anywhere, a cut anywhere: never believed, never an exception."""

    token = signed()
    mangled = token[:at] + noise.decode("latin-1") + token[at + 1 :]
    word = judged(mangled)
    assert word in ("signature", "unreadable", "none", "algorithm", "no_key") or mangled == token
    subject_of(Secret(mangled))
    assert "ok" != judged(token[: min(at, len(token) - 1)])


@given(st.text(max_size=200))
def test_any_job_gets_a_verdict(order: str) -> None:
    """The child writes a word, whatever it reads."""

    assert jose.check_signature(order) in ("unreadable", "none", "algorithm", "no_key")


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
@settings(max_examples=60)
def test_malformed_keys_never_verify(keys: object) -> None:
    """A server's key set may be any JSON."""

    assert "no_key" == judged(signed(), keys=[] if keys is None else keys)

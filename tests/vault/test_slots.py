"""Text format of a slot: what reads back whole is a login, everything else is damage."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.keyrings import CANARY, login
from trayapp.core.model import Login, Secret
from trayapp.vault import slots
from trayapp.vault.slots import WINDOWS_LIMIT, DamagedError, RefusalError, Slot

texts = st.text(max_size=3000) | st.text('\U0001f600\ud800\x00"\\', max_size=400)
logins = st.builds(
    Login,
    generation=st.integers(1, 10**9),
    lineage=st.text(max_size=20),
    refresh_token=texts.map(Secret),
    obtained_at=st.floats(0, 4e9),
    token_endpoint=st.text(max_size=50),
    client_id=st.text(max_size=50),
    issuer=st.text(max_size=50),
    client_secret=st.none() | st.text(max_size=50).map(Secret),
    registration=st.none() | texts.map(Secret),
    subject=st.text(max_size=20),
    account=st.text(max_size=300),
    scope=st.text(max_size=50),
    resource=st.text(max_size=50),
    revocation_endpoint=st.text(max_size=50),
    proof_key=st.none() | texts.map(Secret),
    access_token=st.none() | texts.map(Secret),
    expires_at=st.none() | st.floats(0, 4e9),
).filter(lambda login: login.renewable or bool(login.access_token))


def decode(entries: tuple[str, ...]) -> Login:
    """The reverse of `encode`, without a keyring between."""
    *parts, header = entries
    return slots.read_login(slots.read_header(header), tuple(parts))


@given(logins, st.booleans(), st.sampled_from([None, WINDOWS_LIMIT, 400]))
def test_every_login_reads_back_as_it_was(login: Login, candidate: bool, limit: int | None) -> None:
    """Whatever is in a login, it comes back the same, and no entry is over the limit in UTF-16 units."""

    entries = slots.encode(login, candidate=candidate, limit=limit)

    assert login == decode(entries)
    assert candidate == slots.read_header(entries[-1]).candidate
    assert limit is None or all(len(entry.encode("utf-16-le")) <= 2 * limit for entry in entries)


@given(logins, st.data())
def test_a_changed_character_is_damage(login: Login, data: st.DataObject) -> None:
    """No single changed character gives another login: the digest covers header and payload."""

    entries = list(slots.encode(login, candidate=False, limit=WINDOWS_LIMIT))
    which = data.draw(st.integers(0, len(entries) - 1))
    at = data.draw(st.integers(0, len(entries[which]) - 1))
    entries[which] = entries[which][:at] + data.draw(st.sampled_from('01ax{"\\')) + entries[which][at + 1 :]

    with contextlib.suppress(DamagedError, RefusalError):
        assert login == decode(tuple(entries))


def test_a_short_login_is_one_entry_even_on_windows() -> None:
    """What fits is written with one call, so it cannot be torn."""

    assert 1 == len(slots.encode(login(), candidate=False, limit=WINDOWS_LIMIT))
    assert 3 <= len(slots.encode(login(size=2000), candidate=False, limit=WINDOWS_LIMIT))
    assert 1 == len(slots.encode(login(size=100_000), candidate=False, limit=None))


def test_parts_of_two_logins_never_make_one() -> None:
    """A header with the parts of another write is damaged."""

    *_, header = slots.encode(login(1, size=3000), candidate=False, limit=WINDOWS_LIMIT)
    *parts, _ = slots.encode(login(2, size=3000), candidate=False, limit=WINDOWS_LIMIT)

    with pytest.raises(DamagedError):
        decode((*parts, header))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"v":1}', "x" * 5000, '{"v":1,"generation":-1,"candidate":false,"parts":0,"sha256":""}']
    + [
        json.dumps({"v": 1, "generation": 1, "candidate": False, "parts": parts, "sha256": "", "payload": payload})
        for parts, payload in ((0, None), (1, "x"), (10**9, None), (True, None), ("1", None))
    ],
)
def test_nonsense_in_a_header_is_damage(text: str) -> None:
    """Whatever somebody left in a slot, it is no login and no crash."""

    with pytest.raises(DamagedError):
        slots.read_header(text)


def test_a_newer_format_is_not_damage() -> None:
    """A slot of a later version is refused and not overwritten: a downgrade must not cost a login."""

    with pytest.raises(RefusalError, match="newer version"):
        slots.read_header('{"v":4,"generation":9}')


def test_a_login_without_refresh_token_is_a_newer_format() -> None:
    """An older program, which knows no such login, refuses the slot instead of sending an empty refresh token, and never
    overwrites it. All others keep the format that it reads."""

    kept = replace(login(), refresh_token=Secret(""), access_token=Secret("at-canary"), expires_at=4e9)
    (text,) = slots.encode(kept, candidate=False, limit=None)
    (usual,) = slots.encode(login(), candidate=False, limit=None)

    assert (2, 1) == (json.loads(text)["v"], json.loads(usual)["v"])
    assert "access_token" not in usual
    assert kept == decode((text,))


def test_a_login_that_a_key_proves_is_a_newer_format() -> None:
    """An older program would send the key as a password, or refresh without its proof, and be refused: it doesn't read this
    slot, with or without a refresh token."""

    facts = Secret('{"token_endpoint_auth_method":"private_key_jwt","registered":false,"key_file":"/home/ada/key.pem"}')
    for kept in (
        replace(login(), registration=facts),
        replace(login(), proof_key=Secret('{"kty":"EC"}')),
        replace(login(), registration=facts, refresh_token=Secret(""), access_token=Secret("at-canary")),
    ):
        (text,) = slots.encode(kept, candidate=False, limit=None)
        assert 3 == json.loads(text)["v"]
        assert kept == decode((text,))
        with pytest.raises(DamagedError):
            decode((text.replace('"v":3', '"v":1'),))


def test_what_an_older_program_wrote_is_read() -> None:
    """Word for word what a slot of the first format holds."""

    payload = '{"refresh_token":"rt","obtained_at":5.0,"lineage":"l","token_endpoint":"https://as.example/token","client_id":"c"}'
    digest = hashlib.sha256(f"1\n7\n0\n{payload}".encode()).hexdigest()
    header = {"v": 1, "generation": 7, "candidate": False, "parts": 0, "sha256": digest, "payload": payload}
    found = decode((json.dumps(header),))

    assert (7, "rt", None, None, "") == (
        found.generation,
        found.refresh_token.reveal(),
        found.access_token,
        found.expires_at,
        found.account,
    )


def slot_with(*more: str) -> str:
    """A slot of the first format with more fields than that has."""
    fields = ('"refresh_token":"rt","obtained_at":5.0,"lineage":"l","token_endpoint":"t","client_id":"c"', *more)
    payload = f"{{{','.join(fields)}}}"
    digest = hashlib.sha256(f"1\n7\n0\n{payload}".encode()).hexdigest()
    header = {"v": 1, "generation": 7, "candidate": False, "parts": 0, "sha256": digest, "payload": payload}
    return json.dumps(header)


def test_what_a_newer_program_added_is_ignored() -> None:
    """So is an account by every program that doesn't know it: the login is the same without it."""

    plain, extended = decode((slot_with(),)), decode((slot_with('"later":{"a":[1]}', '"account":"alice@example.com"'),))

    assert replace(plain, account="alice@example.com") == extended
    (text,) = slots.encode(extended, candidate=False, limit=None)
    assert 1 == json.loads(text)["v"]
    (usual,) = slots.encode(plain, candidate=False, limit=None)
    assert "account" not in usual


@pytest.mark.parametrize("odd", ["7", "null", "true", '["alice"]', '{"a":"b"}'])
def test_an_account_that_is_no_text_costs_no_login(odd: str) -> None:
    """It is only shown."""

    found = decode((slot_with(f'"account":{odd}'),))

    assert (7, "rt", "") == (found.generation, found.refresh_token.reveal(), found.account)


def test_a_changed_version_is_damage() -> None:
    """The digest covers it, so that neither kind is read as the other."""

    (text,) = slots.encode(login(), candidate=False, limit=None)
    with pytest.raises(DamagedError):
        decode((text.replace('"v":1', '"v":2'),))


@pytest.mark.parametrize("wrong", ['"expires_at":true', '"expires_at":"soon"', '"access_token":""'])
def test_a_login_without_a_token_or_with_an_odd_end_is_damage(wrong: str) -> None:
    """What can't be sent or counted down is no login."""

    payload = f'{{"refresh_token":"","obtained_at":5,"lineage":"l","token_endpoint":"t","client_id":"c",{wrong}}}'
    digest = hashlib.sha256(f"2\n7\n0\n{payload}".encode()).hexdigest()
    header = {"v": 2, "generation": 7, "candidate": False, "parts": 0, "sha256": digest, "payload": payload}
    with pytest.raises(DamagedError):
        decode((json.dumps(header),))


def test_a_login_that_no_slot_can_hold_is_refused_without_its_text() -> None:
    """The refusal of an odd or endless login quotes nothing of it."""

    for bad in (login(size=80_000), replace(login(), obtained_at=float("nan"))):
        with pytest.raises(RefusalError) as caught:
            slots.encode(bad, candidate=False, limit=WINDOWS_LIMIT)
        assert CANARY not in repr(caught.value)
        assert caught.value.__cause__ is None


def test_the_login_is_the_newest_that_is_no_candidate() -> None:
    """A candidate is never the login, and one that was overtaken is not even a candidate."""

    a, b = Slot("a", login(4)), Slot("b", login(5), candidate=True)

    assert (a, b) == (slots.current((a, b)), slots.pending((a, b)))
    newer = replace(a, login=login(5))
    assert slots.pending((newer, b)) is None
    assert slots.current((Slot("a"), b)) is None
    assert b == slots.pending((Slot("a"), b))


def test_the_target_is_never_the_slot_to_avoid() -> None:
    """With a login to protect there is one answer; without one, an empty or damaged slot comes first."""

    a, b = Slot("a", login(4)), Slot("b", login(3))
    assert (b, a) == (slots.target((a, b), "a", login(5)), slots.target((a, b), "b", login(5)))
    assert "b" == slots.target((Slot("a", login(1), True), Slot("b", damage="torn")), None, login(2)).letter
    older = (Slot("a", login(2), True), Slot("b", login(1), True))
    assert "b" == slots.target(older, None, login(3)).letter
    assert "a" == slots.target(older, None, replace(login(2), generation=7)).letter

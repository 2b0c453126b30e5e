"""Clients that prove themselves by a private key (RFC 7523): the assertion, where the key is kept, and its absence."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key

from tests.oauth.attempts import Attempt
from tests.oauth.tls import bare
from tests.oauth.token_requests import login
from trayapp.core.classify import classify
from trayapp.core.model import Login, Problem, Secret, Spec
from trayapp.core.outcomes import Fault, NotSent, Refreshed
from trayapp.oauth import signing
from trayapp.oauth.client_document import document, fault_in
from trayapp.oauth.client_keys import METHOD, facts_of, is_key, proven
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.registration import RegisteredClient
from trayapp.oauth.signing import KeyUnusableError, as_jwk, client_assertion, private_key, public_key, read_key_file
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer
from trayapp.oauthtest import browse as visit
from trayapp.system.private_files import write_private

KEY = ECKey.generate_key("P-256")
PEM = KEY.as_pem(private=True).decode()
JWK = json.dumps(KEY.as_dict(private=True))
KINDS: dict[str, Any] = {
    "ES256": KEY,
    "ES384": ECKey.generate_key("P-384"),
    "RS256": RSAKey.generate_key(2048),
}
AUDIENCE = "https://login.test"
WALL = 1_700_000_000.5
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files")


def claims_of(assertion: str, key: Any = KEY) -> dict[str, Any]:
    algorithms = ["ES256", "ES384", "RS256", "PS384"]
    payload: dict[str, Any] = json.loads(jws.deserialize_compact(assertion, key, algorithms=algorithms).payload)
    return payload


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "client.pem"
    write_private(file, PEM, shared=True)
    return file


# --- the assertion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KINDS)
def test_the_assertion_is_the_one_of_the_rfc(algorithm: str) -> None:
    """Section 3: issuer and subject are the client, for this server alone, with an end and a number of its own."""

    key = KINDS[algorithm]
    for text in (key.as_pem(private=True).decode(), json.dumps(key.as_dict(private=True))):
        made = [client_assertion(text, "the-client", AUDIENCE, WALL) for _ in range(2)]
        claims = [claims_of(each, key) for each in made]
        assert {"iss", "sub", "aud", "jti", "iat", "exp"} == claims[0].keys()
        assert ("the-client", "the-client", AUDIENCE) == (claims[0]["iss"], claims[0]["sub"], claims[0]["aud"])
        assert 0 < claims[0]["exp"] - WALL <= 300
        assert claims[0]["jti"] != claims[1]["jti"]
        header = jws.extract_compact(made[0].encode()).headers()
        assert algorithm == header["alg"]
        assert "kid" not in header


def test_a_jwk_says_its_name_and_algorithm() -> None:
    """The server may know several keys of a client."""

    key = import_key(KINDS["RS256"].as_dict(private=True) | {"kid": "one", "alg": "PS384"})
    header = jws.extract_compact(
        client_assertion(json.dumps(key.as_dict(private=True)), "c", AUDIENCE, WALL).encode()
    ).headers()
    assert ("one", "PS384") == (header["kid"], header["alg"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "{",
        "{}",
        "[]",
        json.dumps(KEY.as_dict(private=False)),
        KEY.as_pem(private=False).decode(),
        json.dumps(OctKey.generate_key(256).as_dict(private=True)),
        json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True)),
        json.dumps(ECKey.generate_key("secp256k1").as_dict(private=True)),
        PEM[:100],
        KEY.as_pem(private=True, password="x").decode(),
        '{"kty":' * 3000,
        *(
            json.dumps(KEY.as_dict(private=True) | fact)
            for fact in ({"alg": "none"}, {"use": "enc"}, {"key_ops": ["verify"]})
        ),
    ],
    ids=map(str, range(16)),  # keys differ in every run
)
def test_what_is_no_private_key(text: str) -> None:
    """Public keys, passwords and half files are refused in words."""

    with pytest.raises(KeyUnusableError):
        private_key(text)


def test_what_is_public_of_a_key() -> None:
    """Nothing private is in a client's document."""

    made = document("https://ada.example/c.json", keys=[public_key(PEM)])
    assert METHOD == made["token_endpoint_auth_method"]
    assert {"kty", "crv", "x", "y", "use", "alg"} == made["jwks"]["keys"][0].keys()
    assert "" == fault_in(made, "https://ada.example/c.json", 0)
    assert not {"d", "p", "q", "dp", "dq", "qi"} & public_key(json.dumps(KINDS["RS256"].as_dict(private=True))).keys()


def test_a_document_has_to_fit_the_client() -> None:
    """One that names a key is of no use to a workload without it, and the other way round."""

    url = "https://ada.example/c.json"
    keyed, plain = document(url, keys=[public_key(PEM)]), document(url)
    assert ["", ""] == [fault_in(keyed, url, 0, True), fault_in(plain, url, 0, False)]
    assert "client_key_file isn't set" in fault_in(keyed, url, 0, False)
    assert "client_key_file is set" in fault_in(plain, url, 0, True)


# --- the file ----------------------------------------------------------------------------------------------------------


def test_a_key_file(key_file: Path) -> None:
    """As it stands."""

    assert PEM == read_key_file(str(key_file))


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read(key_file: Path, mode: int) -> None:
    """It's refused, and the sentence says what to do."""

    key_file.chmod(mode)
    with pytest.raises(KeyUnusableError, match="chmod 600"):
        read_key_file(str(key_file))


def test_a_file_that_is_none(tmp_path: Path, key_file: Path) -> None:
    """Absent, a directory, or too long."""

    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(KeyUnusableError, match="can't be read"):
            read_key_file(str(path))
    key_file.write_text("x" * 20_000)
    with pytest.raises(KeyUnusableError, match="too long"):
        read_key_file(str(key_file))


# --- requests ----------------------------------------------------------------------------------------------------------


def test_a_disk_that_hangs_holds_one_thread(key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a refresh is tried meanwhile; the key is read again when the disk is back."""

    back, begun = threading.Event(), list[Path]()

    def hang(file: Path) -> bytes:
        begun.append(file)
        back.wait(10)
        return PEM.encode()

    monkeypatch.setattr(signing, "_read_private", hang)
    monkeypatch.setattr(signing, "READ_LIMIT", 0.05)
    for _ in range(3):
        with pytest.raises(KeyUnusableError, match="isn't responding"):
            read_key_file(str(key_file))
    assert [key_file] == begun
    back.set()
    ended = signing._hanging[str(key_file)]
    assert ended.wait(10)
    monkeypatch.setattr(signing, "READ_LIMIT", 10.0)
    assert PEM == read_key_file(str(key_file))


async def test_each_request_has_an_assertion_of_its_own(key_file: Path) -> None:
    """Pushed request, code, two refreshes and revocation; the server refuses an assertion that it has seen."""

    with OAuthServer(client_key=KEY.as_dict(private=False), pushed="required") as server:
        spec = Spec("mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer)
        async with Attempt(replace(spec, client_key_file=str(key_file))) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            new = await attempt.login()
            await tab
        tokens, held = HttpTokens(Wire("0", bare)), new.login
        for _ in range(2):
            outcome = classify(await tokens.refresh(held, limit=5, connect=2))
            assert isinstance(outcome, Refreshed)
            assert outcome.refresh_token is not None
            held = held.rotated(outcome.refresh_token, 0.0)
        assert await tokens.revoke(held)
        assertions = [each.form["client_assertion"] for each in server.requests if "client_assertion" in each.form]

    assert held.client_secret is None
    assert str(key_file) == facts_of(held.registration)["key_file"]
    assert 5 == len(assertions) == len(set(assertions))
    assert PEM not in str(held)


async def test_a_key_in_the_keyring(key_file: Path) -> None:
    """In the place of a client secret, which it never is: no request holds it."""

    with OAuthServer(client_key=KEY.as_dict(private=False)) as server:
        spec = Spec("mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer)
        records = ClientRecords()
        await records.set_secret("mail", Secret(as_jwk(PEM)))
        async with Attempt(spec, clients=records) as attempt:
            tab = asyncio.create_task(asyncio.to_thread(visit, await attempt.url()))
            new = await attempt.login()
            await tab
        assert isinstance(classify(await HttpTokens(Wire("0", bare)).refresh(new.login, limit=5, connect=2)), Refreshed)
        assert not [each for each in server.requests if "client_secret" in each.form]

    assert new.login.client_secret is not None
    assert is_key(new.login.client_secret)


async def test_a_wrong_key_is_the_servers_no(tmp_path: Path) -> None:
    """Before any browser opens, where the request is pushed."""

    other = tmp_path / "other.pem"
    await asyncio.to_thread(
        write_private, other, ECKey.generate_key("P-256").as_pem(private=True).decode(), shared=True
    )
    with OAuthServer(client_key=KEY.as_dict(private=False), pushed="required") as server:
        spec = Spec("mail", "https://mcp.test/", client_id=server.client_id, issuer=server.issuer)
        async with Attempt(replace(spec, client_key_file=str(other))) as attempt:
            problem = await attempt.problem()

    assert isinstance(problem, Problem)
    assert "invalid_client" == problem.code


def keyed(file: str = "", secret: str = "") -> Login:
    client = RegisteredClient("the-client", Secret(secret) if secret else None, METHOD, AUDIENCE, key_file=file)
    return login(f"{AUDIENCE}/token", client_secret=client.secret, registration=client.registration())


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (keyed("/nowhere/client.pem"), "key file client.pem can't be read"),
        (keyed(secret="x"), "key in the keyring isn't a private key"),
    ],
)
async def test_without_its_key_nothing_is_sent(one: Login, words: str) -> None:
    """No verdict, no token in doubt: the login stays, and the next attempt asks again."""

    reply = await HttpTokens(Wire("0", bare)).refresh(one, limit=1, connect=1)
    outcome = classify(reply)
    assert isinstance(outcome, NotSent)
    assert words in outcome.problem.summary


async def test_other_clients_load_nothing() -> None:
    """Nothing of the signing is imported for them."""

    for held in (
        login("https://x.test"),
        login("https://x.test", registration=Secret("{")),
        login("https://x.test", registration=Secret('"private_key_jwt"')),
    ):
        assert held is await proven(held)
    code = "import sys, trayapp.oauth.tokens; print('joserfc' in sys.modules, 'trayapp.oauth.signing' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert b"False False" == (await process.communicate())[0].strip()


@pytest.mark.parametrize("text", ["", "password", "{", "{}", "[1]", '{"kty":"EC"}'])
def test_a_password_is_no_key(text: str) -> None:
    """It is sent as one."""

    assert not is_key(Secret(text))
    assert not is_key(None)
    assert is_key(Secret(JWK))


async def test_a_fault_names_the_key(key_file: Path) -> None:
    """Its path, not its content."""

    await asyncio.to_thread(key_file.write_text, "no key at all")
    fault = await proven(keyed(str(key_file)))
    assert isinstance(fault, Fault)
    assert (False, "request") == (fault.sent, fault.kind)
    assert "no key at all" not in fault.summary

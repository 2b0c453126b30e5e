"""Authorization server metadata: where endpoints come from, and what a document must not talk us into."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oauth.authserver import auth_server
from tests.oauth.tls import bare_wire
from tests.raw_server import http_response, raw_server, respond_and_hang, respond_with
from trayapp.core.model import Problem, Spec
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.metadata import Endpoints, find_endpoints, read_metadata, well_known


async def find(issuer: str = "", *, limit: float = 1.0, **more: Any) -> Endpoints | Problem:
    return await find_endpoints(Spec("github", "", client_id="c", issuer=issuer, **more), bare_wire(), limit=limit)


def refused(found: Endpoints | Problem, *words: str) -> None:
    assert isinstance(found, Problem), found
    assert "metadata" == found.kind
    assert len(found.summary) <= 200
    for word in words:
        assert word in found.summary


@pytest.mark.parametrize(
    ("issuer", "addresses"),
    [
        (
            "https://a.test",
            [
                "https://a.test/.well-known/oauth-authorization-server",
                "https://a.test/.well-known/openid-configuration",
            ],
        ),
        (
            "https://a.test:8443/x/y/",
            [
                "https://a.test:8443/.well-known/oauth-authorization-server/x/y",
                "https://a.test:8443/.well-known/openid-configuration/x/y",
                "https://a.test:8443/x/y/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_the_addresses_of_metadata(issuer: str, addresses: list[str]) -> None:
    """RFC 8414 inserts before the path, OpenID Connect appends; a last slash is no path."""

    assert addresses == list(well_known(issuer))


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("", "/.well-known/oauth-authorization-server"),
        ("", "/.well-known/openid-configuration"),
        ("/tenant", "/.well-known/oauth-authorization-server/tenant"),
        ("/tenant", "/.well-known/openid-configuration/tenant"),
        ("/tenant", "/tenant/.well-known/openid-configuration"),
    ],
)
async def test_metadata_is_found(path: str, document: str) -> None:
    """Wherever the server keeps it."""

    async with auth_server(path=path, documents=(document,)) as server:
        found = await find(server.issuer)

    base = server.base
    assert Endpoints(f"{base}/authorize", f"{base}/token", f"{base}/revoke", server.issuer, False) == found


async def test_what_is_configured_wins() -> None:
    """Metadata only fills the gaps."""

    async with auth_server() as server:
        found = await find(server.issuer, token_endpoint="https://own.test/token")

    assert isinstance(found, Endpoints)
    assert ("https://own.test/token", f"{server.base}/authorize") == (found.token, found.authorization)


async def test_neither_issuer_nor_endpoints() -> None:
    """Said by the names of the settings."""

    refused(await find(), "issuer", "authorization_endpoint", "token_endpoint")
    refused(await find(token_endpoint="https://a.test/"), "authorization_endpoint")


@pytest.mark.parametrize("issuer", ["http://a.test", "a.test", "https://a.test/#x", "https://a.test/?x=1"])
async def test_issuers_that_are_not_asked(issuer: str) -> None:
    """https or this machine, no query, no fragment."""

    refused(await find(issuer), "issuer")


async def test_another_issuer_is_refused() -> None:
    """The words name what the server says, as it may be a matter of a slash."""

    async with auth_server(metadata={"issuer": "https://a.test/"}) as server:
        refused(await find(server.issuer), '"https://a.test/"', "If its operator confirms that, set metadata_url.")


@pytest.mark.parametrize("issuer", [None, 5, "<script>", "https://" + "a" * 300])
async def test_an_odd_issuer_is_refused_without_an_echo(issuer: object) -> None:
    """Nothing of it is shown."""

    async with auth_server(metadata={"issuer": issuer}) as server:
        refused(await find(server.issuer), "a different issuer than configured. If its operator")


async def test_a_server_without_s256_is_refused() -> None:
    """If it lists its methods; many list none."""

    async with auth_server(metadata={"code_challenge_methods_supported": ["plain"]}) as server:
        refused(await find(server.issuer), "S256")
    async with auth_server(metadata={"code_challenge_methods_supported": None}) as server:
        assert isinstance(await find(server.issuer), Endpoints)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("token_endpoint", None, "missing"),
        ("token_endpoint", 5, "missing"),
        ("token_endpoint", "http://a.test/t", "https"),
        ("authorization_endpoint", "javascript:alert(1)", "valid"),
        ("authorization_endpoint", "https://a.test/$(id) x", "valid"),
        ("revocation_endpoint", "http://a.test/r", "https"),
    ],
)
async def test_endpoints_that_metadata_must_not_name(name: str, value: object, words: str) -> None:
    """Missing, unsafe, or meant for something else than a browser."""

    async with auth_server(metadata={name: value}) as server:
        refused(await find(server.issuer), name, words)


def test_a_far_server_cannot_point_at_this_machine() -> None:
    """Its tokens have no business here; only an issuer on this machine may."""

    spec = Spec("github", "", issuer="https://a.test")
    document = {
        "issuer": "https://a.test", "authorization_endpoint": "https://a.test/a", "token_endpoint": "https://localhost/t",
    }  # fmt: skip

    found = read_metadata(spec, document, spec.issuer, nearest_allowed=AddressClass.PRIVATE)

    refused(found, "token_endpoint", "this computer")


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
async def test_configured_endpoints_are_checked(name: str) -> None:
    """A typing error is told by its setting."""

    good = {"authorization_endpoint": "https://a.test/a", "token_endpoint": "https://a.test/t"}

    urls: dict[str, Any] = good | {name: "http://a.test/"}

    refused(await find(**urls), name, "https")


async def test_no_metadata() -> None:
    """The status helps to find the typing error."""

    async with auth_server(documents=()) as server:
        refused(await find(server.issuer), "404")
        assert 2 == len(server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        http_response("302 Found", b"", "Location: https://evil.test/"),
        http_response("200 OK", b"<html>welcome</html>", kind="text/html"),
        http_response("200 OK", b"[1]"),
        http_response("200 OK", b"[" * 100_000),
    ],
)
async def test_a_document_that_is_no_metadata_is_ignored(answer: bytes) -> None:
    """Redirects are not followed; pages and other JSON are passed over."""

    async with raw_server(respond_with(answer)) as server:
        refused(await find(f"http://127.0.0.1:{server.port}"), "no metadata")
        assert 2 == server.connections


async def test_metadata_that_is_too_large() -> None:
    """Cut at 1 MiB."""

    async with raw_server(respond_with(http_response("200 OK", b" " * (2 << 20)))) as server:
        refused(await find(f"http://127.0.0.1:{server.port}"))
        assert 1 == server.connections


async def test_metadata_that_never_comes() -> None:
    """One limit for the whole document."""

    async with raw_server(respond_and_hang(b"HTTP/1.1 200 OK\r\n")) as server:
        refused(await find(f"http://127.0.0.1:{server.port}", limit=0.1), "in time")


# --- an address by hand ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://other.test", None, 5, "https://other.test/#x"])
async def test_a_metadata_address_by_hand_takes_the_document_as_it_is(issuer: object) -> None:
    """Wherever it is and whatever it is called; an issuer that can't be one counts as unknown."""

    async with auth_server(metadata={"issuer": issuer}, documents=("/odd/place.json",)) as server:
        found = await find(metadata_url=f"{server.base}/odd/place.json")

    assert isinstance(found, Endpoints)
    assert f"{server.base}/token" == found.token
    assert ("https://other.test" if issuer == "https://other.test" else "") == found.issuer


async def test_a_metadata_address_by_hand_is_still_held_against_a_configured_issuer() -> None:
    """Both are the person's own words."""

    async with auth_server(documents=("/m",)) as server:
        address = f"{server.base}/m"
        assert isinstance(await find(server.issuer, metadata_url=address), Endpoints)
        refused(await find("https://other.test", metadata_url=address), "a different issuer than configured")


async def test_a_metadata_address_by_hand_that_is_of_no_use() -> None:
    """The sentence names the setting; PKCE and the endpoints' addresses are checked as ever."""

    async with auth_server(documents=("/m",)) as server:
        refused(
            await find(metadata_url=f"{server.base}/n"),
            "127.0.0.1 has no metadata at this URL (HTTP 404)",
            "metadata_url",
        )
        server.metadata = {"code_challenge_methods_supported": ["plain"]}
        refused(await find(metadata_url=f"{server.base}/m"), "127.0.0.1 doesn't offer PKCE with S256")
        server.metadata = {"token_endpoint": "http://far.test/token"}
        refused(await find(metadata_url=f"{server.base}/m"), "The token_endpoint must start with https://")
    refused(await find(metadata_url="http://a.test/m"), "The metadata_url of github must start with https://")
    refused(await find(metadata_url=f"{server.base}/m"), "refused")

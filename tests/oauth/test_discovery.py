"""Discovery of authorization servers: where it looks, and what a server must not talk us into."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oauth.fake_web import AS, MCP, PATH_DOCUMENT, ROOT_DOCUMENT, Web, challenge, internet, page, resource
from tests.oauth.tls import bare_wire
from tests.raw_server import http_response, raw_server, respond_and_hang, respond_with
from trayapp.core.model import Problem
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.discovery import DiscoveredServer, discover
from trayapp.oauth.wire import Request, url_problem

OTHER = "https://meta.example.net/prm"
HTML = page(200, b"<html>", Content_Type="text/html; charset=utf-8")


async def find(web: Web, url: str = MCP) -> DiscoveredServer:
    found = await discover(url, web)
    assert isinstance(found, DiscoveredServer), found
    return found


async def refused(web: Web, *words: str, kind: str = "metadata") -> Problem:
    problem = await discover(MCP, web)
    assert isinstance(problem, Problem), problem
    assert kind == problem.kind
    assert len(problem.summary) <= 200
    for word in words:
        assert word in problem.summary
    return problem


# --- where it is looked for ------------------------------------------------------------------------------------------


async def test_the_challenge_names_the_metadata() -> None:
    """One request without a token, and the document that it names; nothing else is asked."""

    web = internet(mcp=challenge(f'Bearer resource_metadata="{OTHER}"'))
    web.served[OTHER] = page(200, resource())

    assert DiscoveredServer((AS,), MCP, (), AddressClass.PUBLIC) == await find(web)
    assert [f"POST {MCP}", f"GET {OTHER}"] == web.asked


async def test_the_probe_is_an_mcp_initialize_request() -> None:
    """What MCP servers expect; without a token, a cookie or a name of this machine."""

    web = internet()
    await find(web)

    first = web.requests[0]
    assert '"method": "initialize"' in first.body
    assert "text/event-stream" in first.headers["Accept"]
    assert {"Accept", "Content-Type"} == set(first.headers)


@pytest.mark.parametrize("said", ["", "Bearer", "Basic realm=x"])
async def test_without_resource_metadata_in_the_challenge_the_well_known_addresses_are_tried(said: str) -> None:
    """First for the path, then for the whole origin (RFC 9728 section 3.1)."""

    web = internet(mcp=challenge(said), path=page(404), root=page(200, resource(resource="https://mcp.example.com")))

    assert "https://mcp.example.com" == (await find(web)).resource
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}", f"GET {ROOT_DOCUMENT}"] == web.asked


async def test_a_named_document_that_does_not_exist_falls_back_to_the_well_known_addresses() -> None:
    """The well-known addresses are tried instead."""

    web = internet(mcp=challenge('Bearer resource_metadata="https://mcp.example.com/gone"'))

    assert (AS,) == (await find(web)).issuers


@pytest.mark.parametrize("first", [page(404), page(405), page(400, {"error": "no"}), page(200, {"jsonrpc": "2.0"})])
async def test_an_address_that_refuses_post_is_asked_by_get(first: Answer) -> None:
    """It is asked as a browser would ask; its metadata counts also if it does not say 401 itself."""

    web = internet(mcp=first)

    assert (AS,) == (await find(web)).issuers
    assert [f"POST {MCP}", f"GET {MCP}"] == web.asked[:2]


async def test_a_server_without_resource_metadata_signs_in_at_its_own_origin() -> None:
    """A 401 without any metadata: the server signs people in at its own origin, and no resource is named."""

    web = internet(mcp=challenge('Bearer scope="a b"'), path=page(404))

    assert DiscoveredServer(("https://mcp.example.com",), "", ("a", "b"), AddressClass.PUBLIC) == await find(web)


async def test_an_address_that_needs_no_sign_in_is_reported() -> None:
    """Said in a sentence, with what to do if that is not right."""

    web = internet(mcp=page(200, {"jsonrpc": "2.0"}), path=page(404))

    await refused(web, "doesn't ask for a sign-in", "issuer", kind="no_sign_in")


async def test_metadata_without_servers_means_the_resources_own_origin() -> None:
    """Then it is the resource's own origin."""

    web = internet(path=page(200, resource(authorization_servers=None)))

    assert ("https://mcp.example.com",) == (await find(web)).issuers


async def test_several_servers_keep_their_order() -> None:
    """They are kept in order; what is no text is left out."""

    web = internet(path=page(200, resource(authorization_servers=[5, AS, "https://b.example.com"])))

    assert (AS, "https://b.example.com") == (await find(web)).issuers


@pytest.mark.parametrize(
    ("asked", "listed", "expected"),
    [
        ("a b", ["c"], ("a", "b")),
        ("", ["c", "d", "c"], ("c", "d")),
        ("", None, ()),
        ("", ["ok", 'no"t', "two words", 5, "é", ""], ("ok",)),
        ("", "a b", ("a", "b")),
    ],
)
async def test_scopes_come_from_the_challenge_or_the_metadata(
    asked: str, listed: object, expected: tuple[str, ...]
) -> None:
    """Those of the challenge, else those of the metadata, else none; what is no scope is left out."""

    hint = f'Bearer resource_metadata="{PATH_DOCUMENT}"' + (f', scope="{asked}"' if asked else "")
    web = internet(mcp=challenge(hint), path=page(200, resource(scopes_supported=listed)))

    assert expected == (await find(web)).scopes


@pytest.mark.parametrize(
    "named", ["https://mcp.example.com", "https://mcp.example.com/", "https://MCP.example.com:443/mcp/"]
)
async def test_the_resource_may_be_wider_than_the_address(named: str) -> None:
    """Its origin, or what the path begins with; case and default port are no difference. It is asked for as it is named."""

    assert named == (await find(internet(path=page(200, resource(resource=named))))).resource


async def test_a_redirect_within_the_origin() -> None:
    """A slash at the end is often one redirect away; the message is sent again where the server says so."""

    web = internet(mcp=page(308, Location="/mcp/"))
    web.served[f"{MCP}/"] = challenge(f'Bearer resource_metadata="{PATH_DOCUMENT}"')

    assert (AS,) == (await find(web)).issuers
    assert [f"POST {MCP}", f"POST {MCP}/"] == web.asked[:2]


# --- what it must not talk us into -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        "https://mcp.example.com/other",
        "https://mcp.example.com/mc",
        "https://mcp.example.com/mcp/deeper",
        "https://mcp.example.com:8443/mcp",
        "https://mcp.example.com.evil.example/mcp",
        "https://mcp.example.com/mcp?tenant=2",
        "http://mcp.example.com/mcp",
        "https://evil.example/mcp",
        "https://mcp.example.com/mcp#part",
        "https://user@mcp.example.com/mcp",
        "https://mcp.example.com/\nmcp",
        "",
        None,
        ["https://mcp.example.com/mcp"],
    ],
)
async def test_metadata_of_another_resource(named: object) -> None:
    """Tokens for it would be of no use here, or worse (RFC 9728 section 3.3)."""

    web = internet(path=page(200, resource(resource=named)))

    await refused(web, "mcp.example.com has no usable metadata: the URL it names is for a different resource")
    assert [f"GET {PATH_DOCUMENT}", f"GET {ROOT_DOCUMENT}"] == web.asked[1:]


async def test_metadata_of_another_resource_names_its_address_if_it_is_at_the_same_origin() -> None:
    """Somebody who left out the path learns the right one; an address at another origin is never recommended."""

    other = await refused(internet(path=page(200, resource(resource="https://mcp.example.com/v1/mcp"))))
    assert other.summary.endswith(" If you mean https://mcp.example.com/v1/mcp, use that URL.")
    foreign = await refused(internet(path=page(200, resource(resource="https://evil.example/mcp"))))
    assert foreign.summary.endswith("Check the URL.")


async def test_metadata_of_another_resource_at_the_origin_is_ignored() -> None:
    """At the root there may be somebody else's: it is passed over."""

    web = internet(mcp=challenge(), path=page(404), root=page(200, resource(resource="https://mcp.example.com/other")))

    assert "" == (await find(web)).resource


HOSTILE = [
    ("http://login.example.com", "must start with https://"),
    ("javascript:alert(1)", "isn't valid"),
    ("file:///etc/passwd", "isn't valid"),
    ("https://u:p@login.example.com", "user name or password"),
    ("https://login.example.com/#x", "#fragment"),
    ("https://login.example.com/\r\nX-Evil: 1", "isn't valid"),
    ('https://login.example.com/";calc.exe', "isn't valid"),
    ("https://login.example.com/$(id)`id`", "isn't valid"),
    ("https://login.example.com/|id", "isn't valid"),
    ("https://login.example.com/a b", "isn't valid"),
    ("https://127.0.0.1", "on this computer"),
    ("https://localhost", "on this computer"),
    ("https://[::1]", "on this computer"),
    ("https://2130706433", "on this computer"),
    ("https://0x7f.1", "on this computer"),
    ("https://0177.0.0.1", "on this computer"),
    ("https://127.0.0%2e1", "isn't valid"),  # browsers decode this and the next one
    ("https://loc%61lhost", "isn't valid"),
    ("https://127\u30020\u30020\u30021", "isn't valid"),
    ("https://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3", "isn't valid"),
    ("https://10.0.0.1", "in a private network"),
    ("https://169.254.169.254", "in a private network"),
    ("https://[fd00::1]", "in a private network"),
    ("https://router.local", "in a private network"),
]


@pytest.mark.parametrize(("address", "words"), HOSTILE)
async def test_hostile_authorization_server_addresses_are_refused(address: str, words: str) -> None:
    """No other scheme, no credentials, nothing that a shell could care for, and nothing nearer than the workload."""

    web = internet(path=page(200, resource(authorization_servers=[AS, address])))

    problem = await refused(web, words)
    assert "evil" not in problem.summary.lower()
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}"] == web.asked


@pytest.mark.parametrize(("address", "words"), HOSTILE)
async def test_hostile_metadata_addresses_are_refused(address: str, words: str) -> None:
    """The same for the document that the challenge names; a header cannot hold a line break. The well-known places are
    asked instead, and if they have none, the sentence says what was wrong."""

    quoted = address.replace("\r\n", " ").replace('"', '\\"')
    said = challenge(f'Bearer resource_metadata="{quoted}"')
    assert (AS,) == (await find(web := internet(mcp=said))).issuers
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}"] == web.asked
    problem = await refused(web := internet(mcp=said, path=page(404)), "the URL it names", words)
    assert "evil" not in problem.summary.lower()
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}", f"GET {ROOT_DOCUMENT}"] == web.asked


# --- metadata that can't be used where it is named ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        "/.well-known/oauth-protected-resource/mcp",
        ".well-known/oauth-protected-resource/mcp",
        "//mcp.example.com/.well-known/oauth-protected-resource/mcp",
        "http://mcp.example.com/.well-known/oauth-protected-resource/mcp",
        "http://mcp.example.com:8080/.well-known/oauth-protected-resource/mcp",
        "http://MCP.example.com:80/.well-known/oauth-protected-resource/mcp",
    ],
)
async def test_an_address_is_read_as_the_server_means_it(named: str) -> None:
    """Relative to the workload; and where TLS ends at a proxy, a server thinks that it is at plain http."""

    web = internet(mcp=challenge(f'Bearer resource_metadata="{named}"'))

    assert (AS,) == (await find(web)).issuers
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}"] == web.asked


async def test_another_hosts_plain_http_is_not_followed() -> None:
    """Only the workload's own host is known to answer by https; a foreign resource's document isn't used either."""

    web = internet(mcp=challenge('Bearer resource_metadata="http://meta.example.net/prm"'))
    assert (AS,) == (await find(web)).issuers
    web = internet(mcp=challenge(f'Bearer resource_metadata="{OTHER}"'))
    web.served[OTHER] = page(
        200, resource(resource="https://other.example.com/mcp", authorization_servers=["https://e"])
    )
    assert (AS,) == (await find(web)).issuers

    assert not any("http://" in asked for asked in web.asked)


@pytest.mark.parametrize(
    "bad",
    [
        page(404),
        page(200, b"<html>"),
        page(200, resource(resource="https://other.example.com/mcp")),
        Fault(False, "timeout", "No way."),
    ],
)
async def test_the_next_challenge_is_used(bad: Any) -> None:
    """Servers and the gateways before them each send one."""

    second = "https://second.example.net/prm"
    said = challenge(f'Bearer resource_metadata="{OTHER}", DPoP resource_metadata="{second}", scope="x"')
    web = internet(mcp=said, path=page(404))
    web.served |= {OTHER: bad, second: page(200, resource())}

    assert DiscoveredServer((AS,), MCP, ("x",), AddressClass.PUBLIC) == await find(web)
    assert [f"POST {MCP}", f"GET {OTHER}", f"GET {second}"] == web.asked


async def test_the_sentence_lists_what_was_tried() -> None:
    """Each place and what was wrong with it, so that the server's operator can be told."""

    said = challenge('Bearer resource_metadata="http://meta.example.net/prm", Bearer resource_metadata="/prm"')
    problem = await refused(internet(mcp=said, path=page(404)))
    assert (
        "mcp.example.com has no usable metadata: the URL it names must start with https://; another URL it names "
        "has none (HTTP 404); the well-known URL for /mcp has none (HTTP 404); … Check the URL."
    ) == problem.summary

    problem = await refused(internet(mcp=challenge(), path=page(200, resource(resource=AS)), root=page(404)))
    assert (
        "mcp.example.com has no usable metadata: the well-known URL for /mcp is for a different resource; "
        "the well-known URL for / has none (HTTP 404). It's for https://login.example.com. Check the URL."
    ) == problem.summary


async def test_many_challenges_are_not_all_followed() -> None:
    """A person waits, and a header may name thousands."""

    said = ", ".join(f'Bearer resource_metadata="https://m{number}.example.net/"' for number in range(50))
    web = internet(mcp=challenge(said))

    assert (AS,) == (await find(web)).issuers
    assert 5 == len(web.asked)


async def test_a_long_address_leaves_room_for_the_sentence() -> None:
    """It is never cut in the middle of a word."""

    url = f"https://mcp.example.com/{'long/' * 40}mcp"
    path = url.replace("example.com/", "example.com/.well-known/oauth-protected-resource/")
    found = await discover(url, Web({url: challenge(), path: page(200, resource())}))

    assert isinstance(found, Problem)
    assert (
        "mcp.example.com has no usable metadata: the well-known URL for /long/long/long/long/long/long… is for a different "
        "resource; … If you mean https://mcp.example.com/mcp, use that URL."
    ) == found.summary


async def test_an_authorization_server_with_a_query() -> None:
    """An issuer has none (RFC 8414 section 2)."""

    web = internet(path=page(200, resource(authorization_servers=["https://login.example.com/?x=1"])))

    await refused(web, "can't have a query")


async def test_a_workload_of_a_private_network_may_name_its_neighbours() -> None:
    """But nobody on this computer."""

    url = "https://mcp.corp.example/mcp"
    named = ["https://10.0.0.7"]
    web = Web({url: challenge(), "https://mcp.corp.example/.well-known/oauth-protected-resource/mcp": page(404)})
    web.near["mcp.corp.example"] = AddressClass.PRIVATE
    place = "https://mcp.corp.example/.well-known/oauth-protected-resource"
    web.served[place] = page(200, {"resource": url, "authorization_servers": named})
    assert AddressClass.PRIVATE is (await find(web, url)).nearest_allowed

    named[0] = "https://localhost"
    web.served[place] = page(200, {"resource": url, "authorization_servers": named})
    assert isinstance(await discover(url, web), Problem)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_foreign_redirect_is_not_followed(status: int) -> None:
    """It is told whose it is: a captive portal, or a gateway that wants a login of its own."""

    web = internet(mcp=page(status, Location="https://portal.hotel.example/login?next=x"))

    problem = await refused(web, "portal.hotel.example", "Wi-Fi", kind="portal")
    assert "next" not in problem.summary
    assert [f"POST {MCP}"] == web.asked


@pytest.mark.parametrize(
    "there", ["http://mcp.example.com/mcp", "https://mcp.example.com:8443/", "//evil.example/", "https://127.0.0.1/"]
)
async def test_metadata_is_not_fetched_from_elsewhere(there: str) -> None:
    """Another scheme, port or host is not gone to; the next place is asked instead."""

    web = internet(mcp=challenge(), path=page(302, Location=there), root=page(200, resource()))

    assert (AS,) == (await find(web)).issuers
    assert [f"POST {MCP}", f"GET {PATH_DOCUMENT}", f"GET {ROOT_DOCUMENT}"] == web.asked


async def test_a_redirect_loop_is_followed_three_times() -> None:
    """It is followed three times."""

    web = internet(mcp=challenge())
    for number in range(9):
        web.served[f"https://mcp.example.com/{number}"] = page(302, Location=f"/{number + 1}")
    web.served[PATH_DOCUMENT] = page(302, Location="/0")

    await find(web)
    assert 4 == sum("/.well-known/" in one or one[-1].isdigit() for one in web.asked) - 1


@pytest.mark.parametrize("answer", [HTML, page(511, b"<html>", Content_Type="text/html")])
async def test_a_web_page_is_reported_as_a_captive_portal(answer: Answer) -> None:
    """Captive portals answer everything with one."""

    await refused(internet(mcp=answer), "web page", "Wi-Fi", kind="portal")


async def test_a_workload_may_have_a_page_for_browsers() -> None:
    """It speaks with clients and tells who signs people in; what it shows to people hides that from nobody."""

    def both(request: Request) -> Answer:
        return HTML if request.method == "GET" else page(200, {"jsonrpc": "2.0"})

    assert (AS,) == (await find(internet(mcp=both))).issuers
    await refused(internet(mcp=both, path=page(404)), "doesn't ask for a sign-in", kind="no_sign_in")


async def test_a_server_name_that_resolves_to_a_private_address_gets_nothing() -> None:
    """The name looks harmless, its address is not: nothing is sent to it."""

    web = internet(mcp=challenge(f'Bearer resource_metadata="{OTHER}"'), path=page(404))
    web.near["meta.example.net"] = AddressClass.LOCAL

    await refused(web, "Couldn't make the request", kind="request")
    assert not any(OTHER in asked for asked in web.asked)


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b'{"resource":' + b"[" * 100_000, b"\xff\xfe"])
async def test_a_document_that_is_no_metadata_is_ignored(document: bytes) -> None:
    """It is passed over."""

    assert "" == (await find(internet(mcp=challenge(), path=page(200, document)))).resource


@pytest.mark.parametrize("kind", ["dns", "tls", "timeout"])
async def test_transport_faults_are_reported_as_they_are(kind: str) -> None:
    """It is told as what it is, and nothing is guessed."""

    await refused(internet(mcp=Fault(False, kind, "No way.")), "mcp.example.com", kind=kind)
    await refused(internet(path=Fault(False, kind, "No way.")), "mcp.example.com", kind=kind)


async def test_huge_and_slow_metadata() -> None:
    """Cut at 1 MiB, and given up in time: with real sockets."""

    for behaviour, words in (
        (respond_with(http_response("200 OK", b'{"a": "' + b"x" * (1 << 20) + b'"}')), "cut off"),
        (
            respond_and_hang(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"),
            "in time",
        ),
    ):

        async def site(reader: Any, writer: Any, seen: Any, behaviour: Any = behaviour) -> None:
            if seen.connections == 1:
                await respond_with(http_response("401 Unauthorized"))(reader, writer, seen)
            else:
                await behaviour(reader, writer, seen)

        async with raw_server(site) as seen:
            found = await discover(f"http://127.0.0.1:{seen.port}/mcp", bare_wire(), limit=0.3)

        assert isinstance(found, Problem)
        assert words in found.summary


async def test_an_overlong_resource_is_refused() -> None:
    """What is kept in the keyring and sent in every request has a limit."""

    assert "is too long" == url_problem(f"{MCP}/{'x' * 9000}")
    await refused(internet(path=page(200, resource(authorization_servers=[f"{AS}/{'x' * 9000}"]))), "is too long")

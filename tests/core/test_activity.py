"""What is recorded of a request: short names, and nothing that could be a secret."""

from __future__ import annotations

import random
import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.activity import (
    CUT,
    TARGET_MAX,
    Request,
    client_header,
    client_info,
    client_of,
    looks_secret,
    name_of,
    path_of,
    target_name,
    use_of,
)

TOOLS = [
    "searchIssuesAndPullRequests",
    "mcp__server1__tool2_v3",
    "notion-create-pages",
    "list_pull_requests",
    "get_file_contents",
    "API-post-search",
    "query-docs",
    "resolve-library-id",
    "browser_take_screenshot",
    "getJiraIssueRemoteIssueLinks",
    "searchConfluenceUsingCql",
    "createIssueV2",
    "tools/call",
    "resources/templates/list",
    "claude-code",
    "python-httpx",
    "atlassianUserInfo",
    "api_get_user_by_id_v2",
    "getAccessibleAtlassianResources",
    "lookupJiraAccountId",
    "key_value_store_get2",
    "token_exchange_flow2",
    "pattern_matching10",
    "getJiraProjectIssueTypesMetadata",
    "getConfluencePageInlineComments",
    "wit_get_work_items_for_iteration",
    "getTransitionsForJiraIssue",
    "createConfluenceInlineComment",
    "aws___search_documentation",
    "list_organization_repositories",
    "getPullRequestV2Files",
    "API-patch-block-children",
    "get_2026_report",
]

TOKENS = [
    "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghij",
    "sk-" + "proj-abc123def456ghi789",
    "xoxb-123456789012-abcdefghijkl",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "ya29.a0AfH6SMBx-123456",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "glpat-20charsofrandom0abcd",
    "lin_api_Ab3dEf6hIj9kLm2n",
    "123e4567-e89b-12d3-a456-426614174000",
    "d41d8cd98f00b204",
    "4111111111111111",
    "4111-1111-1111-1111",
    "+491701234567890",
    "JBSWY3DPEHPK3PXPA",
    "canary-0123456789abcdef",
    "aB3dE5gH7jK9mN1pQ3sT",
    "qWxYzAbCdEfGhIjKlMnO",
    "abcdefghijklmnopqrstuvwxyzabcdef",
]


def request(**more: object) -> Request:
    made = Request(
        1.0, "notion", "node", {"name": "Claude Code", "version": "2.1"}, True, "tools/call", "search", 200, True, 0.5
    )
    return made._replace(**more)  # type: ignore[arg-type]


def test_a_call() -> None:
    """Who, which tool, what came of it and how long it took."""

    use = use_of(request(duration=0.12345))

    assert ("notion", "Claude Code", "2.1", "") == (use.workload, use.client, use.client_version, use.via)
    assert ("tools/call", "search", 200, True, 0.123) == (use.method, use.target, use.status, use.served, use.duration)


def test_a_clock_that_was_set_back() -> None:
    """No duration is negative."""

    assert 0.0 == use_of(request(duration=-3.0)).duration


@pytest.mark.parametrize("name", TOOLS)
def test_names_of_tools_are_shown(name: str) -> None:
    """However they are spelt."""

    assert name == name_of(name, TARGET_MAX)


@pytest.mark.parametrize("token", TOKENS)
def test_what_looks_like_a_secret_is_cut(token: str) -> None:
    """In a name, a path, a method and the name of a client."""

    assert CUT == name_of(token, TARGET_MAX) == name_of(f"get {token}", TARGET_MAX)
    assert f"/v1/{CUT}/x" == path_of(f"/v1/{token}/x")
    use = use_of(request(target=token, method=token, info={"name": token, "version": token}, agent=token))
    assert token not in repr(use)
    assert token not in repr(
        use_of(request(mcp=False, info=None, agent=f"{token}/{token}", target=f"/{token}?{token}"))
    )


def test_random_tokens_are_cut() -> None:
    """Of each usual kind and length, all but one in a thousand; those that pass look like words."""

    chance = random.Random(1)
    alphabets = {
        "base64url": string.ascii_letters + string.digits + "-_",
        "base62": string.ascii_letters + string.digits,
        "base36": string.ascii_lowercase + string.digits,
        "base32": string.ascii_uppercase + "234567",
        "hex": "0123456789abcdef",
    }
    for alphabet in alphabets.values():
        tokens = ["".join(chance.choices(alphabet, k=32)) for _ in range(2000)]
        assert sum(not looks_secret(token) for token in tokens) <= 2
    assert all(looks_secret(str(uuid.UUID(int=chance.getrandbits(128), version=4))) for _ in range(2000))


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "\x1b[31mred", "a\u202eb", "a\u2028b", "a\x00b", "a\ud800b"])
def test_control_characters_are_refused(text: str) -> None:
    """Nothing of such a text is shown, as it was made to look like something else."""

    assert CUT == name_of(text, TARGET_MAX)
    assert f"/{CUT}" == path_of(f"/{text}")


@given(st.text(max_size=400), st.text(max_size=400), st.booleans())
def test_rows_are_short_and_printable(name: str, target: str, mcp: bool) -> None:
    """Whatever a client sends."""

    info = {"name": name, "version": target}
    use = use_of(request(agent=name, info=info, method=target, target=target, mcp=mcp))

    texts = (use.client, use.client_version, use.method, use.target)
    assert all(text.isprintable() for text in texts)
    assert [True] * 4 == [len(text) <= most for text, most in zip(texts, (40, 20, 40, 100), strict=True)]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("", "/"),
        ("/", "/"),
        ("/repos/octo/issues", "/repos/octo/issues"),
        ("/search?q=secret", "/search"),
        ("/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/getMe", f"/{CUT}/getMe"),
        ("/a;jsessionid=1", f"/{CUT}"),
        ("/ada@example.com", f"/{CUT}"),
        ("/two%20words", f"/{CUT}"),
        ("/-/messages/", "/-/messages/"),
        ("/a/b/c/d/e/f/g", f"/a/b/c/d/e/f/{CUT}"),
        (f"/{'a-' * 20}", f"/{'a-' * 20}"),
        (f"/{'a-' * 20}/{'b-' * 20}/{'c-' * 20}", f"/{'a-' * 20}/{'b-' * 20}/{'c-' * 20}"[:99] + CUT),
        (f"/{'a-' * 21}", f"/{CUT}"),
    ],
)
def test_paths(path: str, shown: str) -> None:
    """Words stay, and whatever may be more than a word goes."""

    assert shown == path_of(path)
    assert len(shown) <= TARGET_MAX


def test_a_long_name_is_shortened() -> None:
    """Its beginning says most."""

    assert "a-a-a…" == name_of("a-" * 30, 6)


@pytest.mark.parametrize(
    ("agent", "info", "found"),
    [
        ("node", {"name": "claude-code", "version": "2.0.14", "title": "Claude Code"}, ("claude-code", "2.0.14", "")),
        ("node", {"name": "claude-code"}, ("claude-code", "", "")),
        ("node", {"name": "zed", "version": 3}, ("zed", "", "")),
        ("node", {"name": ""}, ("node", "", "")),
        ("node", {"name": 7}, ("node", "", "")),
        ("node", None, ("node", "", "")),
        ("", None, ("", "", "")),
        ("(odd)", None, ("", "", "")),
        ("python-httpx/0.28.1", None, ("python-httpx", "0.28.1", "")),
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", None, ("Browser", "", "")),
        ("amberlight-stdio", {"name": "codex", "version": "1"}, ("codex", "1", "stdio")),
        ("amberlight-stdio", None, ("", "", "stdio")),
        ("amberlight-mcp", {"name": "codex", "version": "1"}, ("codex", "1", "mcp")),
        ("amberlight-mcp", {"name": "", "version": ""}, ("", "", "mcp")),
        ("amberlight-mcp/1.0", None, ("", "", "mcp")),
    ],
)
def test_clients(agent: str, info: object, found: tuple[str, str, str]) -> None:
    """By what they call themselves."""

    assert found == client_of(agent, info)


@pytest.mark.parametrize("name", ["codex", "Claude Code", "a/b", "ünï\r\nx: y", "%41", ""])
def test_a_name_on_its_way_through_mcp(name: str) -> None:
    """Any name can be a header, and comes back as it was."""

    header = client_header(name, "1.0/2")

    assert header.isascii()
    assert header.isprintable()
    assert {"name": name, "version": "1.0/2"} == client_info(header)
    assert len(client_header("ü" * 900, "ü" * 900)) < 400


def test_only_tools_and_prompts_have_names() -> None:
    """The address of a resource is content."""

    assert "search" == target_name("tools/call", {"name": "search"})
    assert "daily" == target_name("prompts/get", {"name": "daily"})
    assert "" == target_name("resources/read", {"uri": "file:///home/ada", "name": "x"})
    assert "" == target_name("tools/call", {"name": ["x"]})
    assert "" == target_name("tools/call", {})

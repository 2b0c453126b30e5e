"""Test fixtures for OAuth clients: a scriptable authorization server, and an MCP echo server that demands its tokens.

Both are context managers that run on threads of their own, on 127.0.0.1 and a free port, and both know nothing of the
program under test. The server can fail in every way that token endpoints and the networks before them are seen to fail,
it rotates refresh tokens and notices their reuse, and it checks the client: leaving the context raises
`ClientMisbehaved` if the client broke a rule, and `ScriptNotUsedUp` if it sent fewer token requests than were scripted.

    from trayapp.oauthtest import Mode, OAuthServer

    def test_a_firewall_page_does_not_sign_us_out():
        with OAuthServer(access_token_lifetime=30, grace=60) as server:
            login = server.issue(scope="mail")                   # a login without a browser
            client = MyClient(server.token_endpoint, server.client_id, login.refresh_token)
            server.script(Mode.FIREWALL, Mode.RESET)             # the next two token requests, then success
            client.keep_signed_in(until=lambda: client.access_token)
            assert server.valid_access(client.access_token)
            assert 3 == server.count("token", grant="refresh_token")

With `pytest_plugins = ["trayapp.oauthtest.plugin"]` in the topmost conftest.py the fixtures `oauth_server` and
`echo_workload` do the same; options are given by `@pytest.mark.oauth_server(grace=60)`.

- `server.mode = Mode.UNAVAILABLE` holds until it is changed; `server.script(...)` is played first, one mode for each
  token request. Only SUCCESS, SLOW and DROPPED_ANSWER touch a grant: after any other mode the refresh token is as good
  as before. `release()` ends hangs, `down()` and `up()` take the whole server away and back on the same port.
- `ServerSettings` lists every option; all but the first group may be changed while the server runs, from any thread.
- `server.requests`, `count`, `wait`, `max_in_flight` and `connections` report what arrived. No log entry and no `repr`
  holds a secret: `digest(value)` gives what the log has in its place.
- `Rule` lists what a client may not do. `allow={Rule.STALE_TOKEN}` permits one thing, `check=False` everything.
- `browse(url)` plays the person's browser, up to the client's own redirect listener.
"""

from trayapp.oauthtest.browser import browse
from trayapp.oauthtest.checks import ClientMisbehaved, Rule, Violation
from trayapp.oauthtest.forms import digest
from trayapp.oauthtest.grants import Grant
from trayapp.oauthtest.log import Record
from trayapp.oauthtest.mcp import EchoWorkload, RecordedCall
from trayapp.oauthtest.script import Mode, ScriptNotUsedUp
from trayapp.oauthtest.server import OAuthServer
from trayapp.oauthtest.settings import ServerSettings

__all__ = [
    "ClientMisbehaved",
    "EchoWorkload",
    "Grant",
    "Mode",
    "OAuthServer",
    "Record",
    "RecordedCall",
    "Rule",
    "ScriptNotUsedUp",
    "ServerSettings",
    "Violation",
    "browse",
    "digest",
]

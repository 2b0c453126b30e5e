"""Options of `OAuthServer`. All but the first group may be changed while it runs, from any thread."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from trayapp.oauthtest.checks import Rule


@dataclass(kw_only=True, repr=False, eq=False)
class ServerSettings:
    """How the authorization server behaves. Times are in seconds."""

    # fixed while it runs
    ssl_context: ssl.SSLContext | None = None  # given: https
    check: bool = True  # False: leaving the context raises neither ClientMisbehaved nor ScriptNotUsedUp
    allow: Collection[Rule] = ()  # rules that this test may break
    host: str = "127.0.0.1"  # an address of this machine; another one for tests between network namespaces
    clock: Callable[[], float] = field(default=time.monotonic)  # for grace, token lifetimes, codes and the log

    client_id: str = "amberlight-test"
    client_secret: str | None = None  # given: the client must authenticate, by Basic header or in the body

    dpop: bool = False  # every token is bound to the key of its client's proofs (RFC 9449)
    dpop_nonces: bool = True  # and each proof must hold a nonce of the server's
    client_key: Mapping[str, object] | None = None  # given: the client must authenticate with an assertion (RFC 7523)

    access_token_lifetime: object = 3600.0  # `expires_in` as it stands here; None leaves it out
    rotate: bool | Literal["same"] = True  # False: no refresh_token in the answer; "same": the same one again
    grace: float = 0.0  # how long a spent refresh token is honoured again, counted from its first use
    reuse_revokes_family: bool = True
    code_lifetime: float = 60.0
    subject: str | None = None  # given: an id_token with it in `sub`, when the scope has `openid`
    extra: dict[str, object] = field(default_factory=dict)  # merged into the token response; `...` removes a key

    id_token_alg: str = "ES256"  # or RS256, EdDSA, none, and HS256 with the client's secret
    id_token_changes: dict[str, object] = field(default_factory=dict)  # merged into its claims; `...` removes a claim

    registration: bool = False  # clients can register (RFC 7591); all get `client_id`

    pushed: Literal["", "offered", "required"] = ""  # pushed authorization requests (RFC 9126)
    pushed_lifetime: float = 60.0
    pushed_error: str = ""  # given: the error code that they are refused with

    device: bool = False  # the device grant (RFC 8628) is offered
    device_interval: float = 5.0
    device_lifetime: float = 600.0
    device_slow_downs: int = 0  # this many polls are answered with slow_down
    device_changes: dict[str, object] = field(
        default_factory=dict
    )  # merged into its first response; `...` removes a key

    consent: Literal["auto", "page", "deny"] = "auto"
    scopes: Sequence[str] = ()  # scopes that may be requested; empty: any
    resource: str | None = None  # RFC 8707: what a client must name in both requests of a sign-in
    localhost: bool = False  # redirects to `localhost` are accepted, too, which RFC 8252 section 8.3 advises against
    send_iss: bool = True  # RFC 9207
    wrong_iss: str | None = None  # given: sent as `iss` instead of the issuer, as a mix-up attack would
    metadata_changes: dict[str, object] = field(default_factory=dict)  # merged into the metadata; `...` removes a key

    latency: float = 0.0  # wait before every request is handled
    delay: float = 0.5  # of Mode.SLOW
    retry_after: int | float | str | datetime | None = 30  # of Mode.UNAVAILABLE and Mode.RATE_LIMITED

    # text inside all tokens, codes and truncated responses, for tests that look for leaks
    canary: str = ""

    def __post_init__(self) -> None:
        """Called when all options are set; the server sets itself up here."""

"""Bound tokens on their way upstream (RFC 9449): scheme, proof and the upstream's nonces. Plain tokens never get here."""

from __future__ import annotations

from multidict import CIMultiDictProxy

from trayapp.core.model import AccessToken, Secret
from trayapp.oauth.dpop import HEADER, NONCE, BadKeyError, Prover
from trayapp.proxy.headers import Headers
from trayapp.server.replies import Refusal


class UpstreamProofs:
    """Signs requests with the key of their token. Belongs to the server's loop."""

    def __init__(self) -> None:
        self._prover = Prover()

    async def bind(self, head: Headers, method: str, url: str, token: AccessToken, key: Secret) -> Headers:
        """The headers with the token under its own scheme, and a proof for this one request. Raises `Refusal`."""
        await self._prover.ready()
        self.sign(head, method, url, token, key)
        return head

    def sign(self, head: Headers, method: str, url: str, token: AccessToken, key: Secret) -> None:
        """Put scheme and a new proof into the headers of a request. Raises `Refusal`."""
        value = token.value.reveal()
        head["Authorization"] = f"DPoP {value}"
        try:
            head[HEADER] = self._prover.proof(key, method, url, value)
        except BadKeyError:
            raise Refusal(502, "bad_key", "The key of this login can't be used. Sign in again.") from None

    def noted(self, url: str, headers: CIMultiDictProxy[str], key: Secret) -> bool:
        """Keep the nonce that a response brings, whatever its status; whether it brings one."""
        return self._prover.noted(key, url, headers.get(NONCE))

"""A protected server of the official Python SDK, set up as its documentation says. Run as a program of its own.

Arguments: the authorization server's issuer, and the port to listen on. Tokens are JWTs, verified with the issuer's
keys.
"""

from __future__ import annotations

import sys

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from pydantic import AnyHttpUrl


class Verifier:
    """Takes tokens of one issuer for one resource."""

    def __init__(self, issuer: str, resource: str) -> None:
        self._issuer = issuer
        self._resource = resource

    async def verify_token(self, token: str) -> AccessToken | None:
        async with httpx2.AsyncClient(trust_env=False) as client:
            keys = KeySet.import_key_set((await client.get(f"{self._issuer}/jwks")).json())
        try:
            claims = jwt.decode(token, keys, algorithms=["RS256"]).claims
            jwt.JWTClaimsRegistry(
                iss={"essential": True, "value": self._issuer}, aud={"essential": True, "value": self._resource}
            ).validate(claims)
        except (JoseError, ValueError):
            return None
        return AccessToken(
            token=token,
            client_id=claims["client_id"],
            scopes=claims.get("scope", "").split(),
            expires_at=claims["exp"],
            resource=self._resource,
        )


def main(issuer: str, port: int) -> None:
    resource = f"http://127.0.0.1:{port}/mcp"
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(issuer), resource_server_url=AnyHttpUrl(resource), required_scopes=["mcp"]
    )
    server = MCPServer("protected", auth=settings, token_verifier=Verifier(issuer, resource), log_level="WARNING")

    @server.tool()
    def echo(message: str) -> str:
        """Says what it is told."""
        return message

    server.run("streamable-http", host="127.0.0.1", port=port)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

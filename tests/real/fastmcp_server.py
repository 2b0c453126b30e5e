"""A FastMCP server with remote auth, set up as its documentation says. Run as a program: none of its code is ours.

Arguments: the authorization server's issuer, and the port to listen on.
"""

from __future__ import annotations

import sys

from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from pydantic import AnyHttpUrl


def main(issuer: str, port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    verifier = JWTVerifier(jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=f"{base}/mcp", required_scopes=["mcp"])
    auth = RemoteAuthProvider(
        token_verifier=verifier, authorization_servers=[AnyHttpUrl(issuer)], base_url=AnyHttpUrl(base)
    )
    server = FastMCP("protected", auth=auth)

    @server.tool
    def echo(message: str) -> str:
        """Says what it is told."""
        return message

    server.run(transport="http", host="127.0.0.1", port=port, show_banner=False, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

"""What each provider of the table is known to answer, and what its refresh needs: one case per row of `PROVIDERS`.

`real` is whether the answer was published as a server sent it (an issue, a log); otherwise it was put together from the
provider's documentation. Ids and tokens are made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from tests.core.replies import FORM, JSON

GUID = "c36500af-a8df-4f5e-92e2-b006a1b2e8aa"


@dataclass(frozen=True)
class Case:
    """A refresh at one provider and the answer that ends the login."""

    endpoint: str
    status: int
    body: object  # bytes as they are, anything else as JSON
    code: str  # the verdict
    word: str  # of the provider's own, in the summary
    real: bool
    kind: str = JSON
    secret: bool = False  # its clients have one
    in_body: bool = False  # and it goes into the body
    granted: str = ""  # the scope of the login
    client_id: str = "the-client"
    resource: str = ""
    sends: dict[str, str] = field(default_factory=dict)  # of the form, beside grant_type, refresh_token and client_id

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def grant(description: str, code: str = "invalid_grant", **more: object) -> dict[str, object]:
    return {"error": code, "error_description": description, **more}


REVOKED = "Token has been expired or revoked."
SESSION = {
    "code": 400, "error_code": "refresh_token_not_found", "msg": "Invalid Refresh Token: Refresh Token Not Found",
}  # fmt: skip
INCORRECT = "The refresh token passed is incorrect or expired."
FREQUENCY = (
    "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks by conditional access."
    " The token was issued on 2023-06-02T14:27:05.8405153Z and the maximum allowed lifetime is 86400.\r\nTrace ID: x"
)
BAD_GITHUB = grant(INCORRECT, "bad_refresh_token", error_uri="https://docs.github.com")

CASES: dict[str, Case] = {
    "github": Case(
        "https://github.com/login/oauth/access_token",
        200, BAD_GITHUB, "invalid_grant", "bad_refresh_token", real=True, secret=True,
    ),
    "github-own": Case(
        "https://github.corp.example/login/oauth/access_token",
        200, b"error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect+or+expired.",
        "invalid_grant", "bad_refresh_token", real=False, kind=FORM, secret=True,
    ),
    "gitea": Case(
        "https://codeberg.org/login/oauth/access_token",
        400, grant("token was already used", "unauthorized_client"), "invalid_grant", "unauthorized_client", real=True,
    ),
    "google": Case(
        "https://oauth2.googleapis.com/token",
        400, grant(REVOKED), "invalid_grant", "invalid_grant", real=True, secret=True,
    ),
    "entra": Case(
        f"https://login.microsoftonline.com/{GUID}/oauth2/v2.0/token",
        400, grant(FREQUENCY, error_codes=[70043], suberror="token_expired"), "invalid_grant", "invalid_grant",
        real=True, client_id=GUID, granted=f"api://{GUID}/access_as_user", resource="https://mcp.corp.example/mcp",
        sends={"scope": f"{GUID}/access_as_user offline_access"},
    ),
    "atlassian-mcp": Case(
        "https://mcp.atlassian.com/v1/token",
        403, grant("refresh_token is invalid", "unauthorized_client"), "invalid_grant", "unauthorized_client",
        real=True,
    ),
    "atlassian": Case(
        "https://auth.atlassian.com/oauth/token",
        403, grant("Unknown or invalid refresh token."), "invalid_grant", "invalid_grant", real=False, secret=True,
    ),
    "slack": Case(
        "https://slack.com/api/oauth.v2.access",
        200, {"ok": False, "error": "invalid_refresh_token"}, "invalid_grant", "invalid_refresh_token", real=True,
        secret=True,
    ),
    "notion-mcp": Case(
        "https://mcp.notion.com/token",
        400, grant("Refresh token reuse detected"), "invalid_grant", "invalid_grant", real=True,
        resource="https://mcp.notion.com/mcp", sends={"resource": "https://mcp.notion.com/mcp"},
    ),
    "notion": Case(
        "https://api.notion.com/v1/oauth/token",
        400, {"error": "invalid_grant"}, "invalid_grant", "invalid_grant", real=False, secret=True,
    ),
    "linear": Case(
        "https://api.linear.app/oauth/token",
        400, grant("Invalid refresh token"), "invalid_grant", "invalid_grant", real=False,
        granted="read,write",
    ),
    "okta": Case(
        "https://dev-1.okta.com/oauth2/default/v1/token",
        400, grant("The refresh token is invalid or expired."), "invalid_grant", "invalid_grant", real=False,
        granted="openid offline_access",
    ),
    "auth0": Case(
        "https://tenant.eu.auth0.com/oauth/token",
        403, grant("Unknown or invalid refresh token."), "invalid_grant", "invalid_grant", real=False,
    ),
    "keycloak": Case(
        "https://sso.corp.example/realms/main/protocol/openid-connect/token",
        400, grant("Token is not active"), "invalid_grant", "invalid_grant", real=True,
    ),
    "fastmail": Case(
        "https://api.fastmail.com/oauth/refresh",
        400, {"error": "invalid_grant"}, "invalid_grant", "invalid_grant", real=False,
    ),
    "supabase": Case(
        "https://abc.supabase.co/auth/v1/oauth/token",
        400, SESSION, "invalid_grant", "refresh_token_not_found", real=True,
    ),
    "supabase-own": Case(
        "https://db.corp.example/auth/v1/token",
        400, SESSION, "invalid_grant", "refresh_token_not_found", real=True,
    ),
    "zitadel": Case(
        "https://acme-1.zitadel.cloud/oauth/v2/token",
        400, grant("Errors.OIDCSession.RefreshTokenInvalid"), "invalid_grant", "invalid_grant", real=False,
    ),
    "openai": Case(
        "https://auth.openai.com/oauth/token",
        401, {"error": {"message": "Your refresh token has already been used.", "code": "refresh_token_reused"}},
        "invalid_grant", "refresh_token_reused", real=True,
    ),
    "discord": Case(
        "https://discord.com/api/oauth2/token",
        400, grant('Invalid "refresh_token" in request.', "invalid_request"), "invalid_grant", "invalid_request",
        real=True, secret=True,
    ),
    "hubspot": Case(
        "https://api.hubapi.com/oauth/v1/token",
        400, {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"},
        "invalid_grant", "BAD_REFRESH_TOKEN", real=True, secret=True, in_body=True,
    ),
    "zoho": Case(
        "https://accounts.zoho.eu/oauth/v2/token",
        200, {"error": "invalid_code"}, "invalid_grant", "invalid_code", real=True, secret=True, in_body=True,
        granted="ZohoCRM.modules.ALL",
    ),
    "twitch": Case(
        "https://id.twitch.tv/oauth2/token",
        400, {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"},
        "invalid_grant", "Invalid refresh token", real=False, secret=True, in_body=True,
    ),
    "jetbrains-hub": Case(
        "https://tracker.corp.example/hub/api/rest/oauth2/token",
        400, grant("Refresh token is invalid"), "invalid_grant", "invalid_grant", real=False, secret=True,
        granted="Hub YouTrack", sends={"scope": "Hub YouTrack"},
    ),
}  # fmt: skip

# More of what the same providers answer, of the same kind: each ends the login.
VARIANTS: tuple[tuple[str, int, object, str], ...] = (
    ("github-own", 200, BAD_GITHUB, "invalid_grant"),
    ("github-own", 200, {"error": "incorrect_client_credentials"}, "invalid_client"),
    ("github-own", 400, grant("token was already used", "unauthorized_client"), "invalid_grant"),  # Forgejo
    ("github", 200, {"error": "unsupported_grant_type"}, "unsupported_grant_type"),  # a standard code in a 200
    ("google", 401, grant("The OAuth client was deleted.", "deleted_client"), "invalid_client"),
    ("zoho", 200, {"error": "invalid_client"}, "invalid_client"),
    ("slack", 200, {"ok": False, "error": "invalid_grant"}, "invalid_grant"),
    ("notion-mcp", 401, {"error": "token_inactive"}, "invalid_grant"),  # Ory Hydra, under any name
)

# Servers of the catalog that keep to the standard here, so that they need no row: where their refusal was published, and it.
STANDARD: tuple[tuple[str, str, int, object, str], ...] = (
    ("Airtable", "https://airtable.com/oauth2/v1/token", 400, {"error": "invalid_grant"},
     "https://github.com/airbytehq/airbyte/pull/31119"),
    ("Box", "https://api.box.com/oauth2/token", 400, grant("Invalid refresh token"),
     "https://github.com/box/box-python-sdk/issues/587"),
    ("Cloudflare", "https://mcp.cloudflare.com/token", 400, {"error": "invalid_grant"},
     "https://github.com/cloudflare/mcp/pull/137"),
    ("GitLab", "https://gitlab.com/oauth/token", 400,
     grant("The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the"
           " authorization request, or was issued to another client."),
     "https://github.com/Dynatrace/ace-box/issues/580"),
    ("Mercado Pago", "https://api.mercadopago.com/oauth/token", 400,
     {"message": "Error validating grant. Your authorization code or refresh token may be expired or it was already used.",
      "error": "invalid_grant", "status": 400, "cause": []},
     "https://github.com/mercadopago/sdk-ruby/issues/38"),
    ("Miro", "https://mcp.miro.com/token", 400, {"error": "invalid_grant"},
     "https://github.com/miroapp/miro-ai/issues/59"),
    ("Stripe", "https://api.stripe.com/v1/oauth/token", 400, grant(REVOKED),
     "https://nango.dev/blog/stripe-oauth-refresh-token-invalid-grant"),
    ("Zoom", "https://zoom.us/oauth/token", 400, {"reason": "Invalid Token!", "error": "invalid_grant"},
     "https://github.com/raycast/extensions/issues/10896"),
)  # fmt: skip

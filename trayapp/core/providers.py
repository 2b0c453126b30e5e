"""Providers that differ from the standard: one row each, data only, with the sources of every fact.

A row never loosens a check. It may add parameters to the authorization URL, omit `resource` where a server rejects it,
state the grace period for a rotated refresh token, and explain a refusal; what ends a login is in `quirks.py`. Where no
source says otherwise, the standard's behaviour stands: `grace=None` means unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RefusalText:
    """What a provider's refusal means, for people; at most 110 characters, so that it fits into a summary."""

    text: str
    if_description_has: tuple[
        str, ...
    ] = ()  # only if the server's own explanation contains one of these (lower case); empty: always
    code: str = "invalid_grant"  # the standard code of the refusal (RFC 6749 section 5.2)


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider, recognised by its token endpoint. The defaults are what RFC 6749 and its companions say."""

    name: str
    domains: tuple[str, ...] = ()  # of the token endpoint: this host, or any below it
    path: re.Pattern[str] | None = None  # the token endpoint's whole path, for servers that people run themselves
    grace: float | None = None  # s for which a rotated refresh token still works; 0: known none; None: unknown
    offline_scope: str = ""  # must be requested to get a refresh token
    authorization_parameters: Mapping[str, str] = field(default_factory=dict)  # of the authorization request
    audience: bool = False  # `resource` is also sent as `audience`, the name from before RFC 8707
    no_resource: re.Pattern[str] | None = None  # token endpoints (whole path) that reject `resource` (RFC 8707)
    names_scope_at_refresh: re.Pattern[str] | None = None  # token endpoints (whole path) whose refresh names its scopes
    secret_in_body: bool = False  # client_secret_post where nothing else was registered; else Basic, as RFC 6749 has it
    separator: str = " "  # between scopes; RFC 6749 section 3.3 allows only the space
    no_refresh_help: str = ""  # what to do when a sign-in brought no refresh token; at most 150 characters
    no_recheck: bool = (
        False  # a refused token isn't sent again unasked: a second use of a token ends all of its login (M7)
    )
    refusals: tuple[RefusalText, ...] = ()  # the first match is shown
    sources: tuple[str, ...] = ()


_CONSENT = "Consent is missing. You or an administrator must grant it."
_BLOCKED = "Your organisation's policy blocks this location or device."
ENTRA_V2 = re.compile(r"/[^?#]*/oauth2/v2\.0/token", re.IGNORECASE)

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        "github",
        ("github.com", "ghe.com"),  # ghe.com: GitHub Enterprise with data residency
        grace=0.0,
        no_refresh_help="GitHub gives refresh tokens only to GitHub Apps with expiring user tokens. Tokens of"
        " OAuth apps don't expire.",
        refusals=(
            RefusalText("GitHub ends logins that were unused for six months, or whose token was used twice."),
            RefusalText("GitHub requires the app's client secret for every refresh.", code="invalid_client"),
        ),
        sources=(
            "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
            "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors",
            "https://github.com/superfly/ssokenizer/issues/17",  # single use
        ),
    ),
    Provider(
        # GitHub Enterprise Server, and Gitea and Forgejo under their own names: the path is the same. What ends a login
        # there is the administrator's setting.
        "github-own",
        path=re.compile(r"(?:/[A-Za-z0-9._~-]+)*/login/oauth/access_token"),
        refusals=(RefusalText("The server no longer knows this refresh token: already used, unused, or revoked."),),
        sources=(
            "https://docs.github.com/en/enterprise-server@3.15/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
            "https://github.com/woodpecker-ci/woodpecker/issues/5839",  # Forgejo: token was already used
        ),
    ),
    Provider(
        # Both let a refresh token be used again unless the server is set to invalidate it; Codeberg is.
        "gitea",
        ("codeberg.org", "gitea.com"),
        refusals=(RefusalText("The refresh token was already used, or the login was ended there."),),
        sources=(
            "https://github.com/woodpecker-ci/woodpecker/issues/5839",
            "https://github.com/harness/harness/pull/2622",  # invalidating is a setting
        ),
    ),
    Provider(
        # A refresh token comes only with a first consent, hence the prompt. It isn't rotated, so no grace is needed.
        "google",
        ("oauth2.googleapis.com", "accounts.google.com", "www.googleapis.com"),
        authorization_parameters={"access_type": "offline", "prompt": "consent"},
        no_refresh_help="Google gives a refresh token only with a new consent. Remove this app from your Google"
        " account's connections, then sign in again.",
        refusals=(
            RefusalText(
                "Your Google Workspace requires you to sign in again periodically.", ("invalid_rapt", "reauth")
            ),
            RefusalText("Google ends logins of apps in testing after 7 days. If this happens weekly, publish the app."),
            RefusalText("The app was deleted in the Google Cloud console.", ("deleted",), "invalid_client"),
        ),
        sources=(
            "https://developers.google.com/identity/protocols/oauth2/web-server#offline",
            "https://developers.google.com/identity/protocols/oauth2#expiration",
            "https://github.com/pdobsan/oama/issues/36",  # no refresh token without a new consent
            "https://github.com/googleapis/google-api-nodejs-client/issues/1256",  # 401 deleted_client
            "https://unified.to/blog/why_google_oauth_returns",  # invalid_rapt
        ),
    ),
    Provider(
        # Old refresh tokens stay valid when a new one is issued, so a lost answer costs nothing and needs no grace.
        # Microsoft reserves the right to change AADSTS numbers, so they decide nothing and only choose a text.
        "entra",
        (
            "login.microsoftonline.com",
            "login.microsoftonline.us",
            "login.partner.microsoftonline.cn",
            "login.microsoft.com",
            "login.windows.net",
            "b2clogin.com",
            "ciamlogin.com",
        ),
        offline_scope="offline_access",
        no_resource=ENTRA_V2,  # v1 has the same hosts and wants it
        names_scope_at_refresh=ENTRA_V2,  # else an app that is client and API in one gets AADSTS90009
        no_refresh_help="Microsoft gives a refresh token only with the scope offline_access. Add it to scopes.",
        refusals=(
            RefusalText("Microsoft ends logins after 90 days without use.", ("aadsts700082", "aadsts70008:")),
            RefusalText(
                "Microsoft ends logins of single-page apps after 24 hours. Register a desktop app.", ("aadsts700084",)
            ),
            RefusalText("The password was changed, or the login was revoked at Microsoft.", ("aadsts50173",)),
            RefusalText(
                "Your organisation requires you to sign in again at set times.", ("aadsts70043", "aadsts50078")
            ),
            RefusalText("A second factor is needed.", ("aadsts50076", "aadsts50079", "aadsts50158")),
            RefusalText(_BLOCKED, ("aadsts53003", "aadsts53000")),
            RefusalText("The account is disabled or deleted.", ("aadsts50057", "aadsts50034")),
            RefusalText(_CONSENT, ("aadsts65001",)),
            RefusalText(
                "A second factor is needed.", ("aadsts50076", "aadsts50079", "aadsts50158"), "interaction_required"
            ),
            RefusalText(_CONSENT, ("aadsts65001",), "interaction_required"),
            RefusalText(
                _BLOCKED,
                ("aadsts53003", "aadsts53000"),
                "interaction_required",
            ),
            RefusalText(
                "Client and API are the same app in Entra. Write the scope as CLIENT_ID/NAME, without api://.",
                ("aadsts90009",),
                "invalid_request",
            ),
            RefusalText(
                "Allow public client flows for the app in Microsoft Entra.", ("aadsts7000218",), "invalid_client"
            ),
            RefusalText(
                "The app's client secret has expired or is wrong.", ("aadsts7000222", "aadsts7000215"), "invalid_client"
            ),
            RefusalText("This Microsoft tenant doesn't know the app.", ("aadsts700016",), "unauthorized_client"),
        ),
        sources=(
            "https://learn.microsoft.com/entra/identity-platform/refresh-tokens",
            "https://learn.microsoft.com/entra/identity-platform/reference-error-codes",
            "https://github.com/punkpeye/mcp-remote/issues/217",  # AADSTS9010010: v2 refuses resource
            "https://github.com/UsefulSoftwareCo/executor/issues/1789",
            "https://github.com/Softeria/ms-365-mcp-server/issues/502",  # AADSTS90009, and the form GUID/scope
            "https://github.com/DuendeArchive/IdentityModel/issues/528",
            "https://github.com/simonrob/email-oauth2-proxy/issues/181",  # the shape of an answer, AADSTS70043
        ),
    ),
    Provider(
        # A refresh token that is used again ends the login.
        "fastmail",
        ("fastmail.com",),
        grace=0.0,
        no_recheck=True,
        refusals=(RefusalText("Fastmail ends a login when it is removed there, and when its token is used twice."),),
        sources=("https://www.fastmail.com/dev/",),
    ),
    Provider(
        # mcp.atlassian.com is a separate server: it registers clients, and nothing is published about its rotation.
        "atlassian-mcp",
        ("mcp.atlassian.com",),
        sources=("https://github.com/openai/codex/issues/27165",),
    ),
    Provider(
        # 10 minutes of grace; the old access token is revoked too. Logins end after 90 days unused, 365 in all.
        "atlassian",
        ("atlassian.com",),
        grace=600.0,
        offline_scope="offline_access",
        authorization_parameters={"audience": "api.atlassian.com", "prompt": "consent"},
        no_refresh_help="Atlassian gives a refresh token only with the scope offline_access. Add it to scopes.",
        refusals=(RefusalText("Atlassian ends logins when the password is changed, and after 90 days without use."),),
        sources=(
            "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps",
            "https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens",
            "https://community.developer.atlassian.com/t/the-old-access-token-will-be-revoked-during-the-refresh-token-exchange/83103",
        ),
    ),
    Provider(
        # Access tokens live 12 h. A refresh token is revoked when used; no grace is documented.
        "slack",
        ("slack.com",),
        no_refresh_help="Slack gives refresh tokens only to apps with token rotation. Turn it on in the app's"
        " settings; without it, tokens don't expire.",
        refusals=(
            RefusalText("Slack no longer knows this refresh token: it was already used, or the app was removed."),
        ),
        sources=(
            "https://docs.slack.dev/authentication/using-token-rotation",
            "https://github.com/slackapi/node-slack-sdk/issues/2038",  # invalid_refresh_token
        ),
    ),
    Provider(
        # Rotates; about a grace the documentation says only that "later attempts may receive invalid_grant".
        "notion-mcp",
        ("mcp.notion.com",),
        sources=(
            "https://github.com/makenotion/notion-cookbook/pull/1",
            "https://github.com/damianvtran/local-operator/pull/185",  # Refresh token reuse detected
        ),
    ),
    Provider(
        # Every refresh brings a new pair; no grace is documented. The page wants owner=user and has no scopes.
        "notion",
        ("api.notion.com",),
        authorization_parameters={"owner": "user"},
        refusals=(RefusalText("Notion's API requires the client secret.", code="invalid_client"),),
        sources=(
            "https://developers.notion.com/reference/refresh-a-token",
            "https://developers.notion.com/docs/authorization",
        ),
    ),
    Provider(
        # Access tokens live 24 h; a rotated refresh token still works for 30 minutes. mcp.linear.app is another server.
        "linear",
        ("api.linear.app",),
        grace=1800.0,
        separator=",",
        sources=(
            "https://linear.app/developers/oauth-2-0-authentication",
            "https://github.com/anthropics/claude-code/issues/85236",  # names the 30 minutes
        ),
    ),
    Provider(
        # 30 s unless the tenant sets another value, and its "0" is not quite 0. Later reuse ends the whole token family.
        "okta",
        ("okta.com", "oktapreview.com", "okta-emea.com"),
        grace=30.0,
        no_recheck=True,
        offline_scope="offline_access",
        no_refresh_help="Okta gives refresh tokens only to apps with the grant type Refresh Token, with the scope"
        " offline_access.",
        refusals=(RefusalText("Okta ends a login when its token is used twice, and when it is unused for too long."),),
        sources=(
            "https://developer.okta.com/docs/guides/refresh-tokens/refresh-token-rotation/",
            "https://developer.okta.com/docs/guides/refresh-tokens/get-refresh-token/",
            "https://github.com/okta/okta-sdk-dotnet docs/OpenIdConnectApplicationSettingsRefreshToken.md",
            "https://support.okta.com/help/s/article/okta-refresh-token-invalid-or-expired-error-error-invalid-grant-error-description-the-refresh-token-is-invalid-or-expired",
        ),
    ),
    Provider(
        # The leeway is set per tenant (default 0), so it is unknown. Custom domains can't be recognised.
        "auth0",
        ("auth0.com",),
        no_recheck=True,
        offline_scope="offline_access",
        audience=True,
        no_refresh_help="Auth0 gives refresh tokens for APIs that allow offline access, for the scope offline_access.",
        refusals=(RefusalText("Auth0 ends a login when its token is used twice, and when it is unused for too long."),),
        sources=(
            "https://auth0.com/docs/secure/tokens/refresh-tokens/configure-refresh-token-rotation",
            "https://support.auth0.com/center/s/article/Refresh-token-leeway",
            "https://auth0.com/ai/docs/mcp/guides/resource-param-compatibility-profile",
            "https://github.com/danny-avila/LibreChat/issues/13401",  # resource alone is ignored
        ),
    ),
    Provider(
        # Refresh tokens live as long as the session unless offline_access made it an offline session. A realm may refuse
        # that scope, so it is advised and not added. Whether reuse is allowed is set per realm.
        "keycloak",
        path=re.compile(r"(?:/[A-Za-z0-9._~-]+)*/realms/[^/]+/protocol/openid-connect/token"),
        refusals=(
            RefusalText(
                "The Keycloak session ended. Add offline_access to scopes for a login that outlives it.",
                ("session not active", "session doesn't have required client", "token is not active"),
            ),
            RefusalText(
                "Keycloak saw this token twice, or the login was ended there.", ("stale token", "reuse exceeded")
            ),
        ),
        sources=(
            "https://www.keycloak.org/docs/latest/server_admin/index.html#_offline-access",
            "https://www.iamdevbox.com/posts/keycloak-session-expired-errors-troubleshooting-and-timeout-configuration",
            "https://github.com/keycloak/keycloak/issues/37900",  # Stale token
            "https://github.com/mauriciovigolo/keycloak-angular/issues/564",  # Token is not active
            "https://github.com/keycloak/keycloak/pull/4510",  # revokeRefreshToken, off by default
        ),
    ),
    Provider(
        # 10 s by default; besides, the parent of the newest token always works.
        "supabase",
        ("supabase.co", "supabase.com"),
        grace=10.0,
        no_recheck=True,
        refusals=(
            RefusalText("Supabase ended the session: signed out, password changed, or its token was used twice."),
        ),
        sources=(
            "https://supabase.com/docs/guides/auth/sessions",
            "https://github.com/supabase/auth/issues/2829",
            "https://github.com/anthropics/claude-code/issues/74250",
        ),
    ),
    Provider(
        # The same server, run by others: its grace is their setting.
        "supabase-own",
        path=re.compile(r"(?:/[A-Za-z0-9._~-]+)*/auth/v1(?:/oauth)?/token"),
        no_recheck=True,
        refusals=(
            RefusalText("The server ended the session: signed out, password changed, or its token was used twice."),
        ),
        sources=("https://github.com/supabase/auth/issues/2829",),
    ),
    Provider(
        # Rotates, each token once. Self-hosted ones can't be recognised: /oauth/v2/token is Zoho's path too.
        "zitadel",
        ("zitadel.cloud",),
        grace=0.0,
        offline_scope="offline_access",
        no_refresh_help="Zitadel gives refresh tokens only to apps with the checkbox Refresh Token, with the scope"
        " offline_access.",
        sources=(
            "https://help.zitadel.com/how-to-enable-and-receive-refresh-tokens",
            "https://github.com/zitadel/zitadel/issues/9631",  # lost answers lose the login
            "https://github.com/zitadel/zitadel/issues/7321",
        ),
    ),
    Provider(
        "openai",
        ("auth.openai.com",),
        sources=("https://github.com/openai/codex/issues/46028",),
    ),
    Provider(
        "discord",
        ("discord.com", "discordapp.com"),
        sources=("https://github.com/member-gentei/member-gentei/issues/18",),
    ),
    Provider(
        # Its refusals have no `error`. Secrets belong in the body. The refresh token stays the same.
        "hubspot",
        ("hubapi.com", "hubspot.com"),
        secret_in_body=True,
        refusals=(RefusalText("The app was removed from the HubSpot account, or its access was revoked there."),),
        sources=(
            "https://nango.dev/blog/hubspot-oauth-bad-refresh-token",
            "https://github.com/airbytehq/airbyte/issues/79592",
            "https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide",  # secrets in the body
        ),
    ),
    Provider(
        # Errors come in a 200. The refresh token stays the same.
        "zoho",
        ("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zoho.com.cn", "zoho.sa", "zohocloud.ca"),
        authorization_parameters={"access_type": "offline", "prompt": "consent"},
        secret_in_body=True,
        separator=",",
        no_refresh_help="Zoho gives a refresh token only with a new consent.",
        refusals=(RefusalText("Zoho doesn't know this refresh token: it was revoked, or belongs to another region."),),
        sources=(
            "https://github.com/Weble/ZohoBooksApi/issues/84",  # 200 invalid_code at a refresh
            "https://github.com/asciisd/zoho/issues/6",  # 200 invalid_client, with its headers
            "https://www.zoho.com/accounts/protocol/oauth/web-apps/authorization.html",
            "https://www.zoho.com/accounts/protocol/oauth/devices/refresh-access-token.html",
        ),
    ),
    Provider(
        "twitch",
        ("id.twitch.tv",),
        secret_in_body=True,
        refusals=(RefusalText("Twitch ends logins when the password is changed or the app is disconnected."),),
        sources=("https://dev.twitch.tv/docs/authentication/refresh-tokens",),
    ),
    Provider(
        # YouTrack's and others' server. Its refresh must name the scopes: the ids of services in it.
        "jetbrains-hub",
        path=re.compile(r"(?:/[A-Za-z0-9._~-]+)*/api/rest/oauth2/token"),
        names_scope_at_refresh=re.compile(r".*"),
        sources=("https://www.jetbrains.com/help/youtrack/devportal/Refresh-Token.html",),
    ),
)

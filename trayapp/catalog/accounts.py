"""Accounts whose providers give OAuth tokens to mail programs: endpoints and scopes, and where a client ID comes from.

No client IDs are here: providers issue them for one program, so everybody needs their own.
"""

from __future__ import annotations

from trayapp.catalog.server import Server

_MAIL = "mail, for programs that read and send it"

ACCOUNTS: tuple[Server, ...] = (
    Server(
        "google-mail",
        "Google Mail",
        "",
        _MAIL,
        "Google",
        "https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
        "",
        client_from="at console.cloud.google.com, under Google Auth Platform, Clients: type Desktop app",
        client_authentication="required",
        notes="Publish the app there (Audience), because Google ends logins of apps in testing after 7 days. "
        "A Desktop app needs no redirect address, but does need its secret.",
        redirect="",
        keys={"issuer": "https://accounts.google.com", "scopes": ["https://mail.google.com/", "openid", "email"]},
    ),
    Server(
        "microsoft-mail",
        "Microsoft Mail",
        "",
        "mail of Microsoft 365 and Outlook.com, for programs that read and send it",
        "Microsoft",
        "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
        "",
        client_from="at entra.microsoft.com, under App registrations: platform Mobile and desktop applications, no secret",
        client_authentication="none",
        notes="Enter the redirect address in the app's manifest, because the form accepts only localhost. With --device, none "
        "is needed, but public client flows must be allowed.",
        keys={
            "authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
            "token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "device_authorization_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/devicecode",
            "scopes": [
                "https://outlook.office.com/IMAP.AccessAsUser.All",
                "https://outlook.office.com/SMTP.Send",
                "offline_access",
            ],
        },
    ),
    Server(
        "fastmail",
        "Fastmail",
        "",
        _MAIL,
        "Fastmail",
        "https://www.fastmail.com/dev/",
        "",
        client_from="at Fastmail, which registers clients on request: www.fastmail.com/company/partners",
        redirect="http://localhost/callback",
        notes="With the redirect address http://localhost/callback, Fastmail accepts any port. "
        "If it's only for you, use one of Fastmail's app passwords instead.",
        keys={
            "authorization_endpoint": "https://api.fastmail.com/oauth/authorize",
            "token_endpoint": "https://api.fastmail.com/oauth/refresh",
            "scopes": ["https://www.fastmail.com/dev/protocol-imap", "https://www.fastmail.com/dev/protocol-smtp"],
        },
    ),
)

"""A token as SASL's initial client response, for IMAP, SMTP and POP: OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner.

Both separate fields with a control character, so none may be in the user's name.
"""

from __future__ import annotations

from base64 import b64encode

from trayapp.core.model import Secret

XOAUTH2, OAUTHBEARER = MECHANISMS = ("xoauth2", "oauthbearer")
USER_MAX = 320  # characters: 64 before the @ and 255 behind it (RFC 5321 section 4.5.3.1)
_SEPARATOR = "\x01"


def user_problem(user: str) -> str:
    """Why this can't be a mailbox's user, as the end of a sentence; empty if it can."""
    if not user:
        return "needs the mailbox's address"
    if len(user) > USER_MAX:
        return f"can have at most {USER_MAX} characters"
    return "" if user.isprintable() else "can't have control characters"


def initial_response(mechanism: str, user: str, token: Secret) -> str:
    """What the client sends with AUTHENTICATE or AUTH, in base64. The user has passed `user_problem`."""
    auth = f"auth=Bearer {token.reveal()}{_SEPARATOR}{_SEPARATOR}"
    if mechanism == XOAUTH2:  # https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
        words = f"user={user}{_SEPARATOR}{auth}"
    else:
        name = user.replace("=", "=3D").replace(",", "=2C")  # saslname (RFC 5801 section 4)
        words = f"n,a={name},{_SEPARATOR}{auth}"
    return b64encode(words.encode()).decode()

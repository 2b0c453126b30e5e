"""Allow-list of keyrings, by class name in the keyring library (SECURITY.md 17)."""

from __future__ import annotations

SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105 - the name of a class
LIBSECRET = "keyring.backends.libsecret.Keyring"
KWALLET = "keyring.backends.kwallet.DBusKeyring"
MACOS = "keyring.backends.macOS.Keyring"
WINDOWS = "keyring.backends.Windows.WinVaultKeyring"
CHAINER = "keyring.backends.chainer.ChainerBackend"
ALLOWED = (SECRET_SERVICE, KWALLET, LIBSECRET, MACOS, WINDOWS)


class NoVaultError(Exception):
    """No allowed keyring is available. The text is a sentence for people that names the refused class; `reasons`, for
    the log, is what each of them said."""

    def __init__(self, text: str, reasons: str = "") -> None:
        super().__init__(text)
        self.reasons = reasons


def refused_keyring(path: str) -> str:
    """The sentence for a class that isn't on the list."""
    return (
        f"Amberlight doesn't use the keyring {path}, which isn't known to protect logins. It supports the Secret Service,"
        " KWallet, the macOS keychain and the Windows credential vault."
    )

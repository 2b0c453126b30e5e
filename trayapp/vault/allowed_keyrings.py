"""The keyrings that may be used, by the names of their classes in the keyring library; one law for two files."""

from __future__ import annotations

SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105 - the name of a class
LIBSECRET = "keyring.backends.libsecret.Keyring"
KWALLET = "keyring.backends.kwallet.DBusKeyring"
MACOS = "keyring.backends.macOS.Keyring"
WINDOWS = "keyring.backends.Windows.WinVaultKeyring"
CHAINER = "keyring.backends.chainer.ChainerBackend"
ALLOWED = (SECRET_SERVICE, KWALLET, LIBSECRET, MACOS, WINDOWS)


class NoVaultError(Exception):
    """No keyring that may be used. The text is a sentence for people and names the class that was refused; `why` is what
    each of them said, for the log."""

    def __init__(self, text: str, reasons: str = "") -> None:
        super().__init__(text)
        self.reasons = reasons


def refused_keyring(path: str) -> str:
    """Of a class that is not among them."""
    return (
        f"The keyring {path} is not used: it does not protect a login, or nobody has proved that it does."
        " Amberlight uses the Secret Service, KWallet, the macOS keychain or the Windows credential vault."
    )

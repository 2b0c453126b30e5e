"""Choice of the keyring: one of five, known by exact class. Everything else is refused, however it was chosen.

`keyring.get_keyring()` is never called: it remembers "there is none" for the life of the process, obeys an environment
variable and a configuration file that can name anything, and falls back to a plaintext file. A person's choice among
the five is honoured. Any other choice means no keyring, and a sentence that names the refused class (SECURITY.md 17).
On Linux the Secret Service is called directly (`secret_service_vault.py`); a person's settings for the keyring library
(KEYRING_PROPERTY_*) are obeyed there too. The library itself, which is large, is loaded for all else.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from trayapp.system import session_bus
from trayapp.system.plain_files import read_plain
from trayapp.vault.allowed_keyrings import (
    ALLOWED,
    CHAINER,
    KWALLET,
    LIBSECRET,
    MACOS,
    SECRET_SERVICE,
    WINDOWS,
    NoVaultError,
    refused_keyring,
)
from trayapp.vault.login_store import Vault

log = logging.getLogger(__name__)

SETTINGS_MAX = 65536  # bytes of keyringrc.cfg

# How a service refuses a session of one kind (".NotSupported" by the specification); an absent one answers otherwise.
REFUSALS = (".NotSupported", ".InvalidArgs", ".Failed", ".AccessDenied")


def choose() -> Vault:
    """The best allowed keyring that is available now. Raises `NoVaultError`; looks anew at every call."""
    named = _named_choice()
    if named and named not in (*ALLOWED, CHAINER):
        raise NoVaultError(refused_keyring(named))
    wanted = (named,) if named in ALLOWED else _candidates()
    reasons: list[str] = []
    session_bus.address()  # the libraries of all keyrings look into the environment
    if SECRET_SERVICE in wanted and sys.platform.startswith("linux"):
        if vault := _secret_service(reasons):
            return vault
        wanted = tuple(path for path in wanted if path != SECRET_SERVICE)
    if wanted:
        from trayapp.vault import backends

        if vault := backends.best(wanted, reasons):
            return vault
    raise NoVaultError(_nothing(named if named in ALLOWED else ""), "; ".join(reasons))


def _candidates() -> tuple[str, ...]:
    if sys.platform == "darwin":
        return (MACOS,)
    if sys.platform == "win32":
        return (WINDOWS,)
    return (SECRET_SERVICE, KWALLET, LIBSECRET)


def _bus_is_local() -> bool:
    """Whether the session bus stays within this machine, so that nobody else can listen."""
    return all(part.startswith("unix:") for part in (session_bus.address() or "").split(";") if part)


def _secret_service(reasons: list[str]) -> Vault | None:
    """The Secret Service of this session; None if there is none, with the reason added to `reasons`.

    Its session is encrypted where the bus leaves this machine, and where the service takes no plain one. Raises
    `ServiceError` for a service that doesn't answer: that one is there, and nothing else should take its place.
    """
    from trayapp.vault.secret_connection import NO_REPLY
    from trayapp.vault.secret_errors import ServiceError
    from trayapp.vault.secret_naming import naming
    from trayapp.vault.secret_service_vault import SecretServiceVault

    reason = ""
    for encrypted in (False, True) if _bus_is_local() else (True,):
        vault = SecretServiceVault(encrypted=encrypted, naming=naming(os.environ))
        try:
            vault.open()
        except Exception as error:  # no bus, no service, no such session: each raises in many ways
            vault.close()
            reason = getattr(error, "name", "") or type(error).__name__
            if reason == NO_REPLY:
                raise
            if not isinstance(error, ServiceError) or not reason.endswith(REFUSALS):
                break
        else:
            return vault
    log.debug("The Secret Service is not there: %s", reason)
    reasons.append(f"{SECRET_SERVICE}: {reason}")
    return None


def _named_choice() -> str:
    """The class that the environment or keyringrc.cfg names. It is only read; no foreign code is imported for it."""
    if named := os.environ.get("PYTHON_KEYRING_BACKEND", "").strip():
        return named
    file = _library_settings() / "keyringrc.cfg"
    try:
        text = read_plain(file, SETTINGS_MAX).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        return parser.get("backend", "default-keyring", fallback="").strip()
    except configparser.Error:
        return ""


def _library_settings() -> Path:
    """Where the keyring library looks for its settings; asking the library would load it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", os.environ.get("ProgramData", ".")), "Python Keyring")  # noqa: SIM112
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "python_keyring")


def _nothing(chosen: str) -> str:
    """The sentence for people. Why each class isn't available helps only those who know them."""
    if chosen:
        return f"The configured keyring, {chosen}, isn't available."
    outside = sys.platform.startswith("linux") and not session_bus.address()
    text = "No keyring was found outside a desktop session." if outside else "No keyring was found."
    from importlib import metadata  # 0.6 MB, for those without a keyring

    plugins = sorted(
        point.value.partition(":")[0]
        for point in metadata.entry_points(group="keyring.backends")
        if not point.value.startswith("keyring.")
    )
    return f"{text} Installed, but not supported: {', '.join(plugins)}." if plugins else text

"""Names of our entries in the Secret Service: those that the keyring library gives them, so that both find the same ones.

A person's settings for that library (KEYRING_PROPERTY_*) are obeyed: they say which collection and which attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trayapp.vault.unlock_watcher import ROOT

DEFAULT_COLLECTION = f"{ROOT}/aliases/default"  # the collection that a person calls "my keyring"
APPLICATION_ATTRIBUTE = "application"
APPLICATION = "Python keyring library"  # the library's own; with another value it would be another entry
SCHEMES = {"default": ("service", "username"), "KeePassXC": ("Title", "UserName")}
SETTING = "KEYRING_PROPERTY_"
OURS = "amberlight/"  # what each service of our entries begins with


@dataclass(frozen=True, slots=True)
class Naming:
    """Where entries are written, and by which attributes they are known."""

    collection: str = DEFAULT_COLLECTION
    service: str = "service"
    user: str = "username"
    application: str = APPLICATION

    def attributes(self, service: str, user: str) -> dict[str, str]:
        """What an entry is written with. It is searched by all of them but the application."""
        return {self.service: service, self.user: user, APPLICATION_ATTRIBUTE: self.application}

    def is_ours(self, attributes: Mapping[str, str]) -> bool:
        """Whether an entry with these attributes is one of Amberlight's."""
        return attributes.get(self.service, "").startswith(OURS)


def naming(environ: Mapping[str, str]) -> Naming:
    """The naming that the environment asks for. An unknown scheme is the library's default."""
    collection = environ.get(f"{SETTING}PREFERRED_COLLECTION", "")
    service, user = SCHEMES.get(environ.get(f"{SETTING}SCHEME", ""), SCHEMES["default"])
    return Naming(
        collection if collection.startswith("/") else DEFAULT_COLLECTION,
        service,
        user,
        environ.get(f"{SETTING}APPID", APPLICATION),
    )

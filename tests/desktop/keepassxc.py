"""A desk with the real KeePassXC as Secret Service, which asks before a program reads an entry, as by default."""

from __future__ import annotations

import shutil
import subprocess

from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for

PASSWORD = "open sesame"
GROUP = "{00112233-4455-6677-8899-aabbccddeeff}"  # the root group of `XML`, which is the one that others may read
XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<KeePassFile>
<Meta><DatabaseName>safe</DatabaseName><RecycleBinEnabled>False</RecycleBinEnabled>
<CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{GROUP}</Value></Item></CustomData></Meta>
<Root><Group><UUID>ABEiM0RVZneImaq7zN3u/w==</UUID><Name>Root</Name></Group></Root>
</KeePassFile>
"""
INI = """[General]
ConfigVersion=2
RememberLastDatabases=false
OpenPreviousDatabasesOnStartup=false
UpdateCheckMessageShown=true
AutoSaveAfterEveryChange=true
[GUI]
CheckForUpdates=false
ShowTrayIcon=false
[Security]
LockDatabaseScreenLock=false
[FdoSecrets]
Enabled=true
ShowNotification=false
ConfirmAccessItem=true
ConfirmDeleteItem=true
UnlockBeforeSearch=true
"""
NEEDED = ("keepassxc", "keepassxc-cli", "openbox")
SECRETS = "org.freedesktop.secrets"
OWN = "org.keepassxc.KeePassXC.MainWindow"  # the program's own name on the bus, and its interface


def missing() -> str:
    """The programs that this machine lacks, as text; empty if none."""
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


class KeePassXC:
    """The program on a desk, with one database. `start` opens it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.database = desk.root / "safe.kdbx"
        self._settings = desk.root / "keepassxc.ini"
        self._settings.write_text(INI)
        self._process: subprocess.Popen[bytes] | None = None
        desk.env["QT_QPA_PLATFORM"] = "xcb"
        desk.spawn("openbox")  # without a window manager no dialog gets the keyboard

    def make_database(self) -> None:
        """Make the database anew, empty."""
        self.database.unlink(missing_ok=True)
        xml = self.desk.root / "safe.xml"
        xml.write_text(XML)
        options = ("--set-password", "--decryption-time", "100")
        self._command("import", *options, str(xml), str(self.database), typed=f"{PASSWORD}\n{PASSWORD}\n")

    def entries(self) -> int:
        """The number of entries in the file: the program saves it half a second after each change."""
        listed = self._command("ls", "--quiet", "--recursive", "--flatten", str(self.database), typed=f"{PASSWORD}\n")
        return sum(line.startswith("Amberlight") for line in listed.splitlines())

    def _command(self, *arguments: str, typed: str) -> str:
        done = subprocess.run(
            ["keepassxc-cli", *arguments], input=typed, env=self.desk.env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def start(self) -> None:
        settings = ("--config", str(self._settings), "--localconfig", str(self.desk.root / "keepassxc-local.ini"))
        # A second one of the same user would only call the first, which it looks for among the temporary files.
        self._process = self.desk.spawn("env", f"TMPDIR={self.desk.root}", "keepassxc", *settings)
        wait_for(lambda: self.desk.has_name(SECRETS), "KeePassXC", 40)
        wait_for(lambda: self.desk.has_name(OWN), "KeePassXC's own name", 40)
        self.open()

    def stop(self) -> None:
        if self._process is not None:
            self.desk.end(self._process)
            self._process = None
            wait_for(lambda: not self.desk.has_name(SECRETS), "the end of KeePassXC")

    def open(self) -> None:
        """Open the database, or unlock it, with its password and without a dialog."""
        self._own("openDatabase", f"string:{self.database}", f"string:{PASSWORD}")
        wait_for(lambda: "boolean false" in self._locked(), "the open database")

    def lock(self) -> None:
        self._own("lockAllDatabases")
        wait_for(lambda: "boolean true" in self._locked(), "the locked database")

    def close(self) -> None:
        """Close the database: the service stays, without any collection."""
        self._own("closeAllDatabases")
        wait_for(lambda: not self.desk.has_default_collection(), "the closed database")

    def _own(self, member: str, *arguments: str) -> None:
        self.desk.call(OWN, "/keepassxc", f"{OWN}.{member}", *arguments)

    def _locked(self) -> str:
        path = "/org/freedesktop/secrets/aliases/default"
        query = "org.freedesktop.DBus.Properties.Get"
        return self.desk.call(SECRETS, path, query, "string:org.freedesktop.Secret.Collection", "string:Locked")

    # --- its dialogs --------------------------------------------------------------------------------------------------

    def dialogs(self) -> list[str]:
        """The windows of those that are open: the question whether a program may read, or the one for the password."""
        return self.desk.xdo("search", "--onlyvisible", "--name", "Access Request|Unlock Database").split()

    def dialog(self) -> str:
        """The one dialog, waited for; it has the keyboard."""
        (window,) = wait_for(self.dialogs, "KeePassXC's dialog")
        self.desk.xdo("windowactivate", "--sync", window)
        return window

    def answer(self, *keys: str, text: str = "") -> None:
        """Type a text into the dialog, press these keys, and wait until it is gone."""
        window = self.dialog()
        if text:
            self.desk.xdo("type", "--delay", "5", text)
        for key in keys:
            self.desk.xdo("key", key)
        wait_for(lambda: window not in self.dialogs(), "the end of the dialog")

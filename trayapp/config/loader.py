"""Load the configuration: TOML files and environment variables to frozen values, or to a list of mistakes.

The site-wide file is read first, then the user's; for a workload in both, the user's keys win one by one. Timing comes
from the workload's own key, else `[settings]`, else ToolHive's variables, else the default. All mistakes in all files
are reported together, each with file, line and key. The environment is a parameter; nothing here reads it.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trayapp.config import settings as known
from trayapp.config.durations import quoted
from trayapp.config.paths import Paths as Paths  # callers take it from here
from trayapp.config.toml_lines import Key, key_lines, line_of, line_of_deep_key
from trayapp.core.model import ACCOUNT, Policy, Spec
from trayapp.core.notice_kinds import KINDS as NOTICE_KINDS
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import PRIVACY

MAX_BYTES = 1 << 20  # of a file; a thousand workloads need a quarter of that
KEY_PARTS_MAX = 8  # of a dotted key; ours have three
MISTAKES_MAX = 50  # are reported; nobody reads more, and a hint for each takes time
SHOWN_MAX = 80  # characters of a key in a message
UNCHECKED_METADATA = (
    "workload {}: the issuer of metadata_url isn't checked. Use it only if you trust its operator. If the document names "
    "an issuer, set issuer, too"
)
_SECRET = re.compile(r"secret|password|passwd|private_?key|api_?key|(^|_)token$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a file and how to fix it. Never repeats a value that may be a secret."""

    file: Path
    line: int | None
    key: str
    sentence: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{where}: {self.key}: {self.sentence}" if self.key else f"{where}: {self.sentence}"


class ConfigError(Exception):
    """The configuration is invalid; `mistakes` says where and why.

    If they are all about single workloads, `good` is the configuration without these; `bad` are their names.
    """

    def __init__(
        self, mistakes: tuple[Mistake, ...], good: Config | None = None, bad: frozenset[str] = frozenset()
    ) -> None:
        super().__init__("\n".join(str(m) for m in mistakes))
        self.mistakes = mistakes
        self.good = good
        self.bad = bad


@dataclass(frozen=True, slots=True)
class Settings:
    """The table `[settings]`, which applies to the whole app. Times are in seconds."""

    port: int = 8765
    log_level: str = "info"
    muted: bool = False
    notifications: tuple[str, ...] = NOTICE_KINDS
    quiet_hours: str = ""  # "22:00-07:00"; empty: none
    activity: bool = True  # record which client used which workload
    toolhive_watch: bool = True  # show its workloads
    toolhive_heal: bool = False  # have it restart what failed temporarily, once the network is back
    allowed_users: tuple[int, ...] = ()  # ids of users who may connect to the loopback server besides this one
    client_metadata_url: str = ""  # of workloads without one of their own
    settle: float = 0.25
    settle_max: float = 2.0
    policy: Policy = field(default=Policy(), repr=False)  # of workloads without keys of their own


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `files` are those that exist, `blank` those of them without any text."""

    settings: Settings
    workloads: Mapping[str, Spec]
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    blank: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Value:
    """A validated value and where it came from."""

    value: Any
    file: Path
    line: int | None


_Section = dict[str, _Value]


@dataclass(slots=True)
class _Gathered:
    """What has been read from the files so far, mistakes included."""

    settings: _Section = field(default_factory=dict)
    workloads: dict[str, _Section] = field(default_factory=dict)
    headers: dict[str, tuple[Path, int | None]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    blank: list[Path] = field(default_factory=list)
    unreported: int = 0  # mistakes beyond `MISTAKES_MAX`
    bad: set[str] = field(default_factory=set)  # workloads with mistakes
    all_bad: bool = False  # a mistake is about more than single workloads

    @property
    def is_full(self) -> bool:
        """Whether further mistakes are only counted."""
        return len(self.mistakes) >= MISTAKES_MAX

    def add(self, *mistakes: Mistake, workload: str = "") -> None:
        """Keep mistakes in this workload, or in what concerns all of them."""
        if workload:
            self.bad.add(workload)
        else:
            self.all_bad = True
        room = max(0, MISTAKES_MAX - len(self.mistakes))
        self.mistakes += mistakes[:room]
        self.unreported += len(mistakes[room:])


def load(paths: Paths, environ: Mapping[str, str], *, text: str | None = None) -> Config:
    """Load both files. Raises `ConfigError` with every mistake; a missing file is no mistake.

    `text` replaces the content of the user's file, so that an edit can be validated before it is written. Takes as long
    as the file system does: see `system.plain_files.within`.
    """
    gathered = _Gathered()
    for file in (paths.site_config_file, paths.config_file):
        if text is not None and file == paths.config_file:
            _read_text(gathered, file, text)
        elif file == paths.site_config_file and (problem := _not_administrators(file)):
            gathered.warnings.append(f"{file} isn't used, because it {problem}. Only an administrator may write it")
        else:
            _read(gathered, file)
    return _resolve(gathered, environ)


def parse(file: Path, text: str) -> dict[str, Any]:
    """The parsed TOML. Raises `ConfigError` with the line."""
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ConfigError((_too_large(file),))
    if (line := line_of_deep_key(text, KEY_PARTS_MAX)) is not None:
        raise ConfigError((Mistake(file, line, "", "has a key with more than three parts"),))
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib raises a plain ValueError for a number of 5,000 digits
        raise ConfigError((_syntax_mistake(file, text, error),)) from None


def read_file(file: Path, *, keep_mark: bool = False) -> str | None:
    """The text of a file, without its byte order mark; None if it doesn't exist. Raises `ConfigError`."""
    try:
        content = read_plain(file, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise ConfigError((_too_large(file),))
        return content.decode("utf-8" if keep_mark else "utf-8-sig")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError((Mistake(file, None, "", "isn't UTF-8 text. Save it as UTF-8"),)) from None
    except OSError as error:
        raise ConfigError((Mistake(file, None, "", f"can't be read: {error.strerror}"),)) from None


def _too_large(file: Path) -> Mistake:
    return Mistake(file, None, "", f"is larger than {MAX_BYTES} bytes")


# --- files -----------------------------------------------------------------------------------------------------------


def _read(gathered: _Gathered, file: Path) -> None:
    try:
        text = read_file(file)
    except ConfigError as error:
        gathered.add(*error.mistakes)
        return
    if text is None:
        if file.is_symlink():  # of a home or a share that isn't mounted: nobody means to have no workloads
            gathered.add(Mistake(file, None, "", f"is a link to {file.readlink()}, which doesn't exist"))
        return
    gathered.files.append(file)
    if not text.strip():
        gathered.blank.append(file)
    with contextlib.suppress(OSError):  # it may be gone by now
        _warn_of_mode(gathered, file, file.stat().st_mode & 0o777)
    _read_text(gathered, file, text)


def _not_administrators(file: Path) -> str:
    """Why the site-wide file isn't to be trusted, as the end of a sentence: on Windows every user may make it."""
    if PRIVACY is None:
        return ""
    with contextlib.suppress(OSError):  # it isn't there, or reading it will say what is wrong
        return PRIVACY.changed_by_others(file)
    return ""


def _warn_of_mode(gathered: _Gathered, file: Path, mode: int) -> None:
    if PRIVACY is not None:
        if problem := PRIVACY.changed_by_others(file):
            gathered.warnings.append(f"{file} {problem}. Change that in its properties, under Security")
    elif mode & 0o022:
        gathered.warnings.append(f"{file} can be changed by other users (mode {mode:o}). Run `chmod go-w` on it")


def _read_text(gathered: _Gathered, file: Path, text: str) -> None:
    try:
        raw = parse(file, text)
    except ConfigError as error:
        gathered.add(*error.mistakes)
        return
    _FileReader(gathered, file, key_lines(text)).read(raw)


def _syntax_mistake(file: Path, text: str, error: Exception) -> Mistake:
    """Python's message ends with "(at line 3, column 5)" or "(at end of document)"; we put the line in front."""
    found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", str(error))
    if found is None:
        reason = "it's nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        return Mistake(file, None, "", f"isn't valid TOML: {reason}")
    line = int(found[1]) if found[1] else len(text.splitlines()) or 1
    place = f", column {found[2]}" if found[2] else ", at the end of the file"
    reason = str(error)[: found.start()]  # it quotes keys and single characters, never values
    return Mistake(file, line, "", f"isn't valid TOML{place}: {reason[:1].lower()}{reason[1:]}")


@dataclass(frozen=True, slots=True)
class _FileReader:
    """Validates one parsed file into the common `_Gathered`."""

    gathered: _Gathered
    file: Path
    lines: dict[Key, int]

    def read(self, raw: dict[str, Any]) -> None:
        for name, value in raw.items():
            if name not in ("settings", "workloads"):
                self.unknown((name,), ("settings", "workloads"), "only [settings] and [workloads.NAME] are allowed")
            elif not isinstance(value, dict):
                self.mistake((name,), f"must be a table: write [{name if name == 'settings' else 'workloads.NAME'}]")
            elif name == "settings":
                self.section((name,), value, known.IN_SETTINGS, self.gathered.settings)
            else:
                for workload, keys in value.items():
                    self.workload(workload, keys)

    def workload(self, name: str, keys: Any) -> None:
        path = ("workloads", name)
        if not known.NAME.fullmatch(name):
            self.mistake(path, f"isn't a valid workload name. {known.NAME_HELP}")
        elif not isinstance(keys, dict):
            self.mistake(path, f"must be a table: write [workloads.{name}]")
        else:
            self.gathered.headers[name] = (self.file, line_of(self.lines, path))
            self.section(path, keys, known.IN_WORKLOAD, self.gathered.workloads.setdefault(name, {}))

    def section(self, path: Key, raw: dict[str, Any], allowed: Mapping[str, known.Setting], into: _Section) -> None:
        for name, value in raw.items():
            here = (*path, name)
            if name not in allowed:
                self.unknown(here, tuple(allowed), "there's no such setting")
                continue
            try:
                checked = allowed[name].check(value)
            except ValueError as error:
                self.mistake(here, str(error))
            else:
                into[name] = _Value(checked, self.file, line_of(self.lines, here))

    def unknown(self, path: Key, allowed: tuple[str, ...], otherwise: str) -> None:
        if self.gathered.is_full:
            self.mistake(path, otherwise)
            return
        from difflib import get_close_matches

        name = path[-1]
        near = get_close_matches(name.lower().replace("-", "_"), allowed, 1, 0.7)
        if _SECRET.search(name):
            sentence = "secrets don't belong in this file. Remove this line; Amberlight keeps logins in the keyring"
        elif near:
            sentence = f"unknown key. Did you mean {near[0]}?"
        else:
            sentence = f"unknown key: {otherwise}"
        self.mistake(path, sentence)

    def mistake(self, path: Key, sentence: str) -> None:
        key = ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part) for part in path)
        shown = key if len(key) <= SHOWN_MAX else f"{key[: SHOWN_MAX - 1]}…"
        workload = path[1] if path[0] == "workloads" and len(path) > 1 else ""
        self.gathered.add(Mistake(self.file, line_of(self.lines, path), shown, sentence), workload=workload)


# --- from what was read to what is used ------------------------------------------------------------------------------


def _resolve(gathered: _Gathered, environ: Mapping[str, str]) -> Config:
    policy = replace(Policy(), **_from_environment(gathered, environ))
    policy = replace(policy, **_policy_values(gathered.settings))
    own = {name: v.value for name, v in gathered.settings.items() if name not in known.POLICY_FIELDS}
    settings = Settings(policy=policy, **own)
    workloads = {name: _spec(gathered, name, keys, settings) for name, keys in gathered.workloads.items()}
    files, blank = tuple(gathered.files), tuple(gathered.blank)
    good = {name: spec for name, spec in workloads.items() if name not in gathered.bad}
    config = Config(settings, MappingProxyType(good), tuple(gathered.warnings), files, blank)
    if gathered.mistakes:
        mistakes = (*gathered.mistakes, *_unreported(gathered))
        raise ConfigError(mistakes, None if gathered.all_bad else config, frozenset(gathered.bad))
    return config


def _unreported(gathered: _Gathered) -> list[Mistake]:
    count = gathered.unreported
    return [Mistake(gathered.mistakes[-1].file, None, "", f"and {count} more mistakes")] if count else []


def _from_environment(gathered: _Gathered, environ: Mapping[str, str]) -> dict[str, Any]:
    """ToolHive's six variables. An invalid one adds a warning and counts as unset, like an empty one."""
    found: dict[str, Any] = {}
    for variable, setting in known.VARIABLES.items():
        if not (text := environ.get(variable, "")):
            continue
        try:
            found[setting.name] = known.from_variable(setting, text)
        except ValueError as error:
            default = known.toml_text(setting.default, setting).strip('"')
            gathered.warnings.append(f"environment variable {variable}: {error}. Using the default, {default}")
    return found


def _policy_values(section: _Section) -> dict[str, Any]:
    return {name: v.value for name, v in section.items() if name in known.POLICY_FIELDS}


def _spec(gathered: _Gathered, name: str, keys: _Section, settings: Settings) -> Spec:
    values = {key: v.value for key, v in keys.items() if key not in known.POLICY_FIELDS}
    file, line = gathered.headers[name]
    for sentence in _incomplete(values):
        if not any(m.key.startswith(f"workloads.{name}.") for m in gathered.mistakes):  # don't report one mistake twice
            gathered.add(Mistake(file, line, f"workloads.{name}", sentence), workload=name)
    if "metadata_url" in values and "issuer" not in values:
        gathered.warnings.append(UNCHECKED_METADATA.format(name))
    values.setdefault("client_metadata_url", settings.client_metadata_url)
    values["omit_resource"] = values.get("resource") == ""
    return Spec(name=name, url=values.pop("url", ""), **values, policy=replace(settings.policy, **_policy_values(keys)))


def _incomplete(values: Mapping[str, Any]) -> list[str]:
    sentences = _not_of_its_kind(values)
    if "url" not in values and values.get("kind") != ACCOUNT:
        sentences.append('url is missing. Add url = "https://…", the URL of the server')
    endpoints = [key for key in ("authorization_endpoint", "token_endpoint") if key in values]
    by_device = {"token_endpoint", "device_authorization_endpoint"} <= values.keys()
    if not {"issuer", "metadata_url"} & values.keys() and len(endpoints) == 1 and not by_device:
        other = "token_endpoint" if endpoints[0] == "authorization_endpoint" else "authorization_endpoint"
        sentences.append(f"{other} is missing. {endpoints[0]} needs it, unless issuer is set")
    if "issuer" not in values and len(endpoints) == 2 and "client_id" not in values:
        sentences.append("client_id is missing. Without issuer, none can be registered")
    return sentences


def _not_of_its_kind(values: Mapping[str, Any]) -> list[str]:
    """What an account lacks, and what only one or the other kind has."""
    if values.get("kind") != ACCOUNT:
        return ['hosts needs kind = "account"'] if values.get("hosts") else []
    sentences = ["url must be removed: an account has no address"] if "url" in values else []
    if values.get("dpop"):
        sentences.append("dpop must be removed: mail programs and git can't use a token that is bound to a key")
    if not {"issuer", "metadata_url", "authorization_endpoint", "token_endpoint"} & values.keys():
        sentences.append("issuer is missing. An account needs its sign-in server: issuer, or both endpoints")
    return sentences

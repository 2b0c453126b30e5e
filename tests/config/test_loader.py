"""Loading the configuration: files and variables to values, or to mistakes with line and key."""

from __future__ import annotations

import os
import stat
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trayapp.config import settings as known
from trayapp.config.loader import MAX_BYTES, MISTAKES_MAX, ConfigError, Paths, load
from trayapp.core.model import Policy

GOOD = """
[settings]
port = 0
log_level = "debug"
muted = true
settle = "500ms"
tick_interval = "1m"

# the company's
[workloads.github]
url = "https://mcp.example.com/mcp"
issuer = "https://login.example.com"
client_id = "desktop"
scopes = ["read", "offline_access"]
resource = "https://mcp.example.com/"
tick_interval = "30s"
again = ["0s", "1s"]

[workloads.local]
url = "http://127.0.0.1:9000/x"
authorization_endpoint = "http://localhost:9000/authorize"
token_endpoint = "http://[::1]:9000/token?tenant=1"
client_id = "c"
redirect_port = 8400
"""

WORKLOAD = """[workloads.x]
url = "https://x.example"
issuer = "https://login.example.com"
client_id = "c"
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def mistakes(paths: Paths, text: str) -> list[tuple[int | None, str, str]]:
    """Line, key and sentence of all that is wrong with this text."""
    write(paths.config_file, text)
    with pytest.raises(ConfigError) as caught:
        load(paths, {})
    assert all(m.file == paths.config_file for m in caught.value.mistakes)
    return [(m.line, m.key, m.sentence) for m in caught.value.mistakes]


def test_no_file_is_an_empty_configuration(paths: Paths) -> None:
    """Without any file there are no workloads, default settings and nothing to warn of."""

    config = load(paths, {})

    assert ({}, (), (), 8765) == (dict(config.workloads), config.warnings, config.files, config.settings.port)
    assert Policy() == config.settings.policy


def test_everything_is_read(paths: Paths) -> None:
    """Settings, workloads and their own timing become values in seconds."""

    write(paths.config_file, GOOD)
    config = load(paths, {})

    assert (0, "debug", True, 0.5) == (
        config.settings.port,
        config.settings.log_level,
        config.settings.muted,
        config.settings.settle,
    )
    github, local = config.workloads["github"], config.workloads["local"]
    assert ("read", "offline_access") == github.scopes
    assert ("https://login.example.com", "", "", "desktop") == github.identity()
    assert (30.0, (0.0, 1.0)) == (github.policy.tick_interval, github.policy.again)
    assert (60.0, 8400) == (local.policy.tick_interval, local.redirect_port)
    assert (paths.config_file,) == config.files


def test_timing_comes_from_the_nearest_place(paths: Paths) -> None:
    """A workload's own key wins over [settings], that over the environment, and that over the default."""

    environ = {
        "TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL": "7m",
        "TOOLHIVE_TOKEN_REFRESH_MAX_TRIES": "9",
        "TOOLHIVE_TOKEN_AUTH_RETRYING_MAX_ELAPSED": "1h30m",
    }
    write(paths.config_file, '[settings]\nmax_tries = 3\nceiling = "2h"\n' + WORKLOAD + 'ceiling = "3h"\n')

    policy = load(paths, environ).workloads["x"].policy

    assert (420.0, 3, 10800.0, 10.0) == (
        policy.tick_interval,
        policy.max_tries,
        policy.ceiling,
        policy.initial_retry_interval,
    )


@pytest.mark.parametrize("variable", sorted(known.VARIABLES))
@pytest.mark.parametrize("text", ["soon", "-1s", "0", "10", "-3", "1.5"])
def test_bad_variables_are_warned_about(paths: Paths, variable: str, text: str) -> None:
    """A variable that is no duration (or count), or not positive, is named in a warning, and the default is used."""

    setting = known.VARIABLES[variable]
    if setting.name == "max_tries" and text == "10":
        text = "1s"
    config = load(paths, {variable: text})

    assert Policy() == config.settings.policy
    (warning,) = config.warnings
    assert warning.startswith(f"environment variable {variable}: ")
    assert f'"{text}"' in warning or "must be" in warning
    assert warning.endswith(f"Using the default, {known.toml_text(setting.default, setting).strip(chr(34))}")


def test_six_variables() -> None:
    """ToolHive has six variables, and each sets the number it sets there."""

    expected = {
        "TOOLHIVE_TOKEN_REFRESH_INITIAL_RETRY_INTERVAL": ("initial_retry_interval", '"10s"'),
        "TOOLHIVE_TOKEN_REFRESH_MAX_RETRY_INTERVAL": ("max_retry_interval", '"2m"'),
        "TOOLHIVE_TOKEN_REFRESH_MAX_TRIES": ("max_tries", "5"),
        "TOOLHIVE_TOKEN_REFRESH_MAX_ELAPSED_TIME": ("max_elapsed_time", '"5m"'),
        "TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL": ("tick_interval", '"10m"'),
        "TOOLHIVE_TOKEN_AUTH_RETRYING_MAX_ELAPSED": ("ceiling", '"24h"'),
    }
    assert expected == {name: (s.name, known.toml_text(s.default, s)) for name, s in known.VARIABLES.items()}


def test_every_rule_has_a_setting() -> None:
    """Each number of the policy can be set in both places, and the table's defaults are the policy's."""

    for field in fields(Policy):
        setting = known.IN_SETTINGS[field.name]
        assert known.IN_WORKLOAD[field.name] is setting
        assert getattr(Policy(), field.name) == setting.default


def test_defaults_of_the_table_are_accepted() -> None:
    """Every default, written as the table writes it, is read back as itself."""

    import tomllib

    for setting in known.SETTINGS:
        if setting.default is not None:
            raw = tomllib.loads(f"v = {known.toml_text(setting.default, setting)}")["v"]
            assert setting.default == setting.check(raw), setting.name


def test_the_table_for_people() -> None:
    """Each row names setting, place, default and meaning."""

    rows = {row[0]: row for row in known.rows()}

    assert ("port", "[settings]", "8765", "", "port of the local server; 0: any free port") == rows["port"]
    assert "[settings] and [workloads.NAME]" == rows["ceiling"][1]
    assert all(row[4] for row in rows.values())


def test_the_users_file_wins_key_by_key(paths: Paths) -> None:
    """A workload in both files has the user's keys where they are set, else the site's."""

    write(paths.site_config_file, WORKLOAD + 'scopes = ["a"]\n[settings]\nport = 1\nmuted = true\n')
    write(paths.config_file, '[workloads.x]\nclient_id = "mine"\n[settings]\nport = 2\n')

    config = load(paths, {})

    spec = config.workloads["x"]
    assert ("https://x.example", "mine", ("a",)) == (spec.url, spec.client_id, spec.scopes)
    assert (2, True) == (config.settings.port, config.settings.muted)
    assert (paths.site_config_file, paths.config_file) == config.files


def test_mistakes_of_both_files_are_told_at_once(paths: Paths) -> None:
    """All mistakes come together, each with its own file and line, one line of text each."""

    write(paths.site_config_file, "[settings]\n\nport = 99999\n")
    write(paths.config_file, WORKLOAD + "bogus = 1\n")

    with pytest.raises(ConfigError) as caught:
        load(paths, {})

    assert str(caught.value).splitlines() == [
        f"{paths.site_config_file}:3: settings.port: must be a port number from 0 to 65535 (0: any free one)",
        f"{paths.config_file}:5: workloads.x.bogus: unknown key: there's no such setting",
    ]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("[setings]\n", 1, "setings", "Did you mean settings?"),
        ("\nport = 1\n", 2, "port", "only [settings] and [workloads.NAME] are allowed"),
        ("settings = 1\n", 1, "settings", "write [settings]"),
        ("workloads = 1\n", 1, "workloads", "write [workloads.NAME]"),
        ("[workloads]\nx = 1\n", 2, "workloads.x", "write [workloads.x]"),
        ("[settings]\ntick-interval = '1m'\n", 2, "settings.tick-interval", "Did you mean tick_interval?"),
        ("[settings]\nport = '1'\n", 2, "settings.port", "not a text"),
        ("[settings]\nport = true\n", 2, "settings.port", "not a boolean"),
        ("[settings]\nport = -1\n", 2, "settings.port", "from 0 to 65535"),
        ("[settings]\nlog_level = 'loud'\n", 2, "settings.log_level", '"warning"'),
        ("[settings]\nmuted = 'yes'\n", 2, "settings.muted", "true or false"),
        ("[settings]\nceiling = 10\n", 2, "settings.ceiling", 'like "10s" or "1h30m", not an integer'),
        ("[settings]\nceiling = '10'\n", 2, "settings.ceiling", "a number without a unit"),
        ("[settings]\nceiling = '0s'\n", 2, "settings.ceiling", "longer than zero"),
        ("[settings]\nsettle = '-1s'\n", 2, "settings.settle", "at least zero"),
        ("[settings]\nburst = []\n", 2, "settings.burst", "at least one"),
        ("[settings]\nburst = '1s'\n", 2, "settings.burst", "a list of durations"),
        ("[settings]\nburst = [\n '0s',\n 1]\n", 2, "settings.burst", "not an integer"),
        ("[settings]\nmax_tries = 0\n", 2, "settings.max_tries", "from 1"),
        ("[settings]\nmax_tries = 2.0\n", 2, "settings.max_tries", "not a number"),
        ("[settings]\nretry_jitter = 1.0\n", 2, "settings.retry_jitter", "like 0.2"),
        ("[settings]\nretry_jitter = nan\n", 2, "settings.retry_jitter", "like 0.2"),
        ("[settings]\nretry_factor = inf\n", 2, "settings.retry_factor", "from 1 to 100"),
        (f"[settings]\nretry_factor = {'9' * 400}\n", 2, "settings.retry_factor", "from 1 to 100"),
        ("[settings]\nurl = 'https://x'\n", 2, "settings.url", "no such setting"),
        ("[settings]\nport = 2020-01-01\n", 2, "settings.port", "not a date or time"),
        (WORKLOAD + "port = 1\n", 5, "workloads.x.port", "no such setting"),
        (WORKLOAD + "scope = ['a']\n", 5, "workloads.x.scope", "Did you mean scopes?"),
        (WORKLOAD + "scopes = 'a b'\n", 5, "workloads.x.scopes", 'like ["read", "offline_access"]'),
        (WORKLOAD + "scopes = ['a b']\n", 5, "workloads.x.scopes", "without spaces"),
        (WORKLOAD + "require_key = 'no'\n", 5, "workloads.x.require_key", "true or false, without quotes"),
        (WORKLOAD + "allowed_origins = ['*']\n", 5, "workloads.x.allowed_origins", "without a path"),
        (WORKLOAD + "allowed_origins = ['null']\n", 5, "workloads.x.allowed_origins", "without a path"),
        (WORKLOAD + "allowed_origins = ['https://a.example/']\n", 5, "workloads.x.allowed_origins", "without a path"),
        (WORKLOAD + "allowed_origins = 'https://a.example'\n", 5, "workloads.x.allowed_origins", "a list of strings"),
        (WORKLOAD + "resource = 'x'\n", 5, "workloads.x.resource", "RFC 8707"),
        (WORKLOAD + "resource = 'https://x#y'\n", 5, "workloads.x.resource", "and #"),
        (WORKLOAD.replace('"c"', '""'), 4, "workloads.x.client_id", "printable ASCII"),
        ("[workloads.Bad]\n", 1, "workloads.Bad", "isn't a valid workload name. Use up to 63 lowercase"),
        ("[workloads.'a b']\n", 1, 'workloads."a b"', "isn't a valid workload name"),
        ("[workloads.'\\x1b[31m']\n", 1, 'workloads."\\x1b[31m"', "isn't a valid workload name"),
        (f"[workloads.{'a' * 64}]\n", 1, f"workloads.{'a' * 64}", "isn't a valid workload name"),
        ("[settings]\nport = 1\nport = 2\n", 3, "", "isn't valid TOML, column 9: cannot overwrite a value"),
        ("[settings\n", 1, "", "isn't valid TOML, column 10"),
        ("[settings]\nx = '\n", 2, "", "isn't valid TOML"),
        ("[settings]\nburst = [\n", 2, "", "at the end of the file"),
        (f"x = {'1' * 5000}\n", None, "", "a number is too long"),
        (f"x = {'[' * 5000}\n", None, "", "nested too deeply"),
    ],
)
def test_one_mistake(paths: Paths, text: str, line: int | None, key: str, words: str) -> None:
    """Each kind of mistake has its line, its key and a sentence on how to fix it."""

    ((found_line, found_key, sentence),) = mistakes(paths, text)

    assert (line, key) == (found_line, found_key)
    assert words in sentence


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com", "must start with https://"),
        ("http://127.0.0.1.example.com", "must start with https://"),
        ("http://10.0.0.1", "must start with https://"),
        ("https://me:hunter2@example.com", "user name or password"),
        ("https://@example.com", "user name or password"),
        ("ftp://example.com", "complete URL"),
        ("example.com/mcp", "complete URL"),
        ("//example.com", "complete URL"),
        ("https://", "complete URL"),
        ("https://:8443/", "complete URL"),
        ("https://example.com:0/", "complete URL"),
        ("https://example.com:port/", "isn't a valid URL"),
        ("https://[::1", "isn't a valid URL"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com/a b", "without spaces"),
        ("https://exämple.com/", "percent-encode"),
        ("", "without spaces"),
    ],
)
@pytest.mark.parametrize("key", ["url", "issuer", "token_endpoint"])
def test_bad_addresses(paths: Paths, url: str, words: str, key: str) -> None:
    """Tokens go over https, or stay on this machine; an address never carries a password, and it is not repeated."""

    text = WORKLOAD.replace("https://x.example", url) if key == "url" else WORKLOAD + f'{key} = "{url}"\n'
    if key == "issuer":
        text = WORKLOAD.replace("https://login.example.com", url)
    ((_, found, sentence),) = mistakes(paths, text)

    assert f"workloads.x.{key}" == found
    assert words in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("more", "bad"),
    [
        ("mcp = 7", {"y"}),
        ("[workloads.z]\nmcp = 7", {"z"}),
        ("[workloads.z]\n[workloads.'A b']", {"z", "A b"}),
        ("[workloads]\nz = 7", {"z"}),
        ("\n".join(f"key{number} = 1" for number in range(200)), {"y"}),
        ("[settings]\nport = 'x'", None),
        ("mcp = 7\n[other]", None),
    ],
)
def test_what_is_good_of_a_file_with_mistakes(paths: Paths, more: str, bad: set[str] | None) -> None:
    """All but the workloads with mistakes; nothing if one is about more than those."""

    text = WORKLOAD + '[workloads.y]\nurl = "https://y.example"\n' + more
    if more.startswith("[workloads]"):
        text = more + '\nx = {url = "https://x.example"}\ny = {url = "https://y.example"}\n'
    with pytest.raises(ConfigError) as caught:
        load(paths, {}, text=text)
    error = caught.value

    if bad is None:
        assert error.good is None
    else:
        assert error.good is not None
        assert bad == error.bad
        assert {"x", "y"} - bad == set(error.good.workloads)


LONG = "x" * 70_000


@pytest.mark.parametrize(
    "value",
    [f"https://x.example/{LONG}", f"{LONG}", "1h" * 35_000, [LONG], ["https://x.example"] * 5000, ["1s"] * 5000],
    ids=["address", "text", "duration", "long item", "many items", "many durations"],
)
@pytest.mark.parametrize("setting", known.SETTINGS, ids=lambda setting: setting.name)
def test_no_value_is_endless(setting: known.Setting, value: object) -> None:
    """Whatever the setting, the sentence is short; so is what a file may have of texts that are valid otherwise."""

    with pytest.raises(ValueError, match=r"^.{10,200}$"):
        setting.check(value)


@pytest.mark.parametrize("key", ["url", "issuer", "metadata_url", "client_id", "resource"])
def test_the_longest_text(key: str) -> None:
    """2,048 characters are taken, one more is refused with the limit."""

    check = known.IN_WORKLOAD[key].check
    longest = "https://x.example/".ljust(2048, "y")

    assert longest == check(longest)
    with pytest.raises(ValueError, match="must have at most 2048 characters"):
        check(longest + "y")


def test_the_longest_list() -> None:
    """Many scopes are taken, but not more than an address can hold."""

    check = known.IN_WORKLOAD["scopes"].check

    assert 200 == len(check(["read:issue-details:jira"] * 200))
    with pytest.raises(ValueError, match="must have at most 8192 characters in all"):
        check(["read:issue-details:jira"] * 400)


def test_an_issuer_has_no_query(paths: Paths) -> None:
    """RFC 8414 section 2: an issuer has neither query nor fragment."""

    ((line, _, sentence),) = mistakes(paths, WORKLOAD.replace("login.example.com", "login.example.com?x=1"))

    assert 3 == line
    assert "an issuer is a URL without ?" in sentence


@pytest.mark.parametrize(
    "key",
    ["client_secret", "refresh_token", "access_token", "id_token", "password", "api_key", "registration_access_token"],
)
@pytest.mark.parametrize("text", [WORKLOAD, "[settings]\n", ""])
def test_secrets_are_refused(paths: Paths, key: str, text: str) -> None:
    """A secret in the file is refused at any place, with a sentence, and never repeated."""

    ((_, found, sentence),) = mistakes(paths, text + f'{key} = "canary-1234"\n')

    assert found.endswith(key)
    assert "secrets don't belong in this file" in sentence
    assert "canary" not in sentence


def test_a_broken_line_does_not_show_its_value(paths: Paths) -> None:
    """Text that is not TOML may hold a secret, so the sentence does not quote it."""

    for text in ('client_secret = "canary', "client_secret = canary", 'a = "b" canary', 'x = "\\qcanary"', '"canary'):
        assert "canary" not in str(mistakes(paths, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["url is missing"]),
        (
            'token_endpoint = "https://x/t"',
            ["url is", "authorization_endpoint is missing. token_endpoint"],
        ),
        ('url = "https://x"\nclient_id = "c"\nauthorization_endpoint = "https://x/a"', ["token_endpoint is missing"]),
        ('url = "https://x"\ntoken_endpoint = "https://x/t"\nauthorization_endpoint = "https://x/a"', ["client_id is"]),
    ],
)
def test_incomplete_workloads(paths: Paths, text: str, words: list[str]) -> None:
    """A workload needs a URL; one endpoint needs the other, and both without an issuer need a client."""

    found = mistakes(paths, f"\n[workloads.x]\n{text}\n")

    assert len(words) == len(found)
    for word, (line, key, sentence) in zip(words, found, strict=True):
        assert (2, "workloads.x") == (line, key)
        assert word in sentence


def test_files_that_cannot_be_a_configuration(paths: Paths) -> None:
    """A directory, binary rubbish and a huge file are each refused with a sentence."""

    paths.config_file.mkdir(parents=True)
    with pytest.raises(ConfigError, match="can't be read: it's a directory"):
        load(paths, {})
    paths.config_file.rmdir()

    paths.config_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="isn't UTF-8"):
        load(paths, {})

    paths.config_file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="is larger than"):
        load(paths, {})


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
def test_a_file_whose_opening_would_wait(paths: Paths) -> None:
    """A pipe nobody writes to, also behind a link, and a device that never ends are mistakes like any other."""

    paths.config_file.parent.mkdir(parents=True)
    os.mkfifo(paths.config_file)
    with pytest.raises(ConfigError, match="can't be read: it's a named pipe, not a file"):
        load(paths, {})

    paths.config_file.rename(paths.config_file.with_name("pipe"))
    for target, kind in ((paths.config_file.with_name("pipe"), "named pipe"), (Path("/dev/zero"), "device")):
        paths.config_file.symlink_to(target)
        with pytest.raises(ConfigError, match=f"can't be read: it's a {kind}, not a file"):
            load(paths, {})
        paths.config_file.unlink()


@pytest.mark.alone
@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 500_000) + " = 1",
        "\n\n[" + " . ".join(["'a.b'"] * 100_000) + "]",
        "[workloads.x]\nurl = { " + ".".join(['"a"'] * 200_000) + " = 1 }",
        "[[" + ".".join(["a"] * 500_000),
    ],
    ids=["key", "header", "inline", "unfinished"],
)
def test_a_key_of_endless_parts_is_refused_quickly(paths: Paths, text: str) -> None:
    """tomllib would take hours for a megabyte of one dotted key."""

    write(paths.config_file, text)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"config\.toml:[123]: has a key with more than three parts") as caught:
        load(paths, {})
    assert time.monotonic() - began < 2
    assert len(str(caught.value)) < 500


def test_dots_elsewhere_are_no_parts_of_a_key(paths: Paths) -> None:
    """In texts and comments there may be any number of them."""

    dots = ".".join("abcdefghijklmnop")
    texts = [f"'{dots}'", f'"{dots}"', f"'''{dots}'''", f'"""{dots}"""']
    write(paths.config_file, f"# {dots}\n{WORKLOAD}scopes = [{', '.join(texts)}]\n")
    assert (dots,) * 4 == load(paths, {}).workloads["x"].scopes


@pytest.mark.alone
@pytest.mark.parametrize(
    "text",
    [
        "".join(f"[workloads.w{n}]\nuri = 1\n" for n in range(10_000)),
        "".join(f"a{n}.b.c = 1\n" for n in range(20_000)),
        "".join(f'"quoted {n}" = 1\n' for n in range(20_000)),
    ],
    ids=["near misses", "dotted", "quoted"],
)
def test_thousands_of_mistakes_are_told_quickly_and_briefly(paths: Paths, text: str) -> None:
    """The first fifty, and how many more there are."""

    write(paths.config_file, text)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"and [0-9]+ more mistakes") as caught:
        load(paths, {})
    assert time.monotonic() - began < 3
    assert MISTAKES_MAX + 1 == len(caught.value.mistakes)


def test_a_key_of_a_megabyte_is_not_repeated(paths: Paths) -> None:
    """Its beginning will do."""

    write(paths.config_file, "a" * 1_000_000 + " = 1")
    with pytest.raises(ConfigError) as caught:
        load(paths, {})
    assert len(str(caught.value)) < 500


def test_an_edit_that_makes_the_file_too_large_is_refused(paths: Paths) -> None:
    """The file could not be read afterwards."""

    with pytest.raises(ConfigError, match="is larger than"):
        load(paths, {}, text=WORKLOAD + "#" * MAX_BYTES)


def test_windows_line_ends_and_a_mark(paths: Paths) -> None:
    """A file saved on Windows is read, and its lines are counted rightly."""

    write(paths.config_file, "")
    paths.config_file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert 2 == len(load(paths, {}).workloads)

    paths.config_file.write_bytes(b"[settings]\r\n# x\r\nbogus = 1\r\n")
    with pytest.raises(ConfigError) as caught:
        load(paths, {})
    assert 3 == caught.value.mistakes[0].line


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_file_that_others_can_change(paths: Paths) -> None:
    """Whoever can change the file can send logins elsewhere, so a wide mode adds a warning."""

    write(paths.config_file, GOOD)
    paths.config_file.chmod(0o666)

    (warning,) = load(paths, {}).warnings

    assert "can be changed by other users (mode 666). Run `chmod go-w` on it" in warning


_JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from(known.SETTINGS), _JUNK)
@settings(max_examples=300)
def test_any_value_is_taken_or_refused_with_a_sentence(setting: known.Setting, value: Any) -> None:
    """No value at all brings another error than the one that has a sentence."""

    try:
        setting.check(value)
    except ValueError as error:
        assert len(str(error)) > 10


# --- where files are -------------------------------------------------------------------------------------------------


@pytest.mark.linux("XDG variables")
def test_the_xdg_variables_move_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each directory follows its variable."""

    for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "SITE"))
    (tmp_path / "RUNTIME_DIR").mkdir(mode=0o700)

    paths = Paths.default()

    assert tmp_path / "CONFIG_HOME/amberlight/config.toml" == paths.config_file
    assert tmp_path / "SITE/amberlight/config.toml" == paths.site_config_file
    assert tmp_path / "STATE_HOME/amberlight" == paths.state_dir
    assert tmp_path / "STATE_HOME/amberlight/log/amberlight.log" == paths.log_file
    assert tmp_path / "DATA_HOME/amberlight" == paths.data_dir
    assert tmp_path / "RUNTIME_DIR/amberlight/server.json" == paths.server_file


@pytest.mark.linux("XDG variables")
def test_without_a_runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the session has no private runtime directory, a guessable name below /tmp is not used instead."""

    class Dirs:
        user_runtime_dir = f"/tmp/runtime-{os.getuid()}/amberlight"

        def __init__(self, *_: object, **__: object) -> None: ...

        def __getattr__(self, name: str) -> str:
            return str(tmp_path / name)

    monkeypatch.setattr("platformdirs.PlatformDirs", Dirs)

    assert tmp_path / "user_state_dir/run" == Paths.default().runtime_dir


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_directories_are_private(paths: Paths) -> None:
    """Directories are made 0700, and one that is wider is narrowed; the configuration's own is left as it is."""

    paths.state_dir.mkdir(parents=True, mode=0o755)
    paths.config_file.parent.mkdir(mode=0o755)
    paths.make()

    for directory in (paths.state_dir, paths.data_dir, paths.runtime_dir, paths.log_file.parent):
        assert 0o700 == stat.S_IMODE(directory.stat().st_mode)
    assert 0o755 == stat.S_IMODE(paths.config_file.parent.stat().st_mode)


ADDRESS = '[workloads.x]\nurl = "https://mcp.example.com/mcp"\n'


def test_an_empty_resource_leaves_it_out(paths: Paths) -> None:
    """That differs from none being configured, where the one that the url names is sent."""

    write(paths.config_file, WORKLOAD + 'resource = ""\n')
    assert ("", True) == (load(paths, {}).workloads["x"].resource, load(paths, {}).workloads["x"].omit_resource)
    for more, resource in (("", ""), ('resource = "urn:r"\n', "urn:r")):
        write(paths.config_file, WORKLOAD + more)
        assert (resource, False) == (
            load(paths, {}).workloads["x"].resource,
            load(paths, {}).workloads["x"].omit_resource,
        )


def test_a_metadata_address_by_hand_is_warned_of(paths: Paths) -> None:
    """Nobody checks whose document it is, unless the issuer is named, too."""

    write(paths.config_file, ADDRESS + 'metadata_url = "https://login.example.com/m.json"\n')
    (warning,) = load(paths, {}).warnings
    assert "workload x: the issuer of metadata_url isn't checked" in warning
    write(paths.config_file, ADDRESS + 'metadata_url = "https://l.example/m"\nissuer = "https://l.example"\n')
    assert () == load(paths, {}).warnings


def test_a_metadata_address_completes_an_endpoint(paths: Paths) -> None:
    """Like an issuer does."""

    write(paths.config_file, ADDRESS + 'metadata_url = "https://l.example/m"\ntoken_endpoint = "https://l.example/t"\n')
    assert "https://l.example/t" == load(paths, {}).workloads["x"].token_endpoint

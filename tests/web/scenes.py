"""Scenes for the dashboard: workloads in every state, and a day's history for them."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.web.stage import HOUR, MINUTE, other_view, workload_view
from trayapp.api.controls import Rejected, TakeOverPlan
from trayapp.core.activity import Request
from trayapp.core.checks import Check
from trayapp.core.log_lines import LogEntry
from trayapp.core.model import Problem
from trayapp.core.snapshot import Detail, Status, WorkloadView
from trayapp.core.view import style_of
from trayapp.storage.timeline import Segment, segment

FIREWALL = Problem("http", "A firewall or proxy blocked the request (403).", 403, "")
ENDED = Problem("oauth", "The server no longer accepts this login.", 400, "invalid_grant")
UNREACHED = Problem("dns", "Can't find mcp.example.com. Check your network, VPN and the address.")


def in_trouble() -> list[WorkloadView]:
    """Two that are well, one that is reconnecting, one that needs a sign-in, one that is new."""
    return [
        workload_view(
            "atlassian",
            ago=10.4 * HOUR,
            url="https://mcp.atlassian.com/v1/sse",
            last_refreshed_at=time.time() - 12 * MINUTE,
        ),
        github(),
        linear(),
        workload_view(
            "notion", ago=5 * HOUR, url="https://mcp.notion.com/mcp", last_refreshed_at=time.time() - 31 * MINUTE
        ),
        workload_view(
            "sentry", ago=9 * HOUR, url="https://mcp.sentry.dev/mcp", last_refreshed_at=time.time() - 44 * MINUTE
        ),
    ]


def github() -> WorkloadView:
    text = "The server ended this session. Choose Reauthorize to sign in again."
    return workload_view(
        "github",
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        text,
        url="https://api.githubcopilot.com/mcp/",
        ago=2.2 * HOUR,
        problem=ENDED,
        last_refreshed_at=time.time() - 3 * HOUR,
    )


def linear() -> WorkloadView:
    return workload_view(
        "linear",
        Status.AUTH_RETRYING,
        Detail.RETRYING,
        "A firewall or proxy blocked the request (403). Amberlight retries automatically.",
        url="https://mcp.linear.app/mcp",
        ago=38 * MINUTE,
        problem=FIREWALL,
        next_in=4 * MINUTE + 12,
        attempts=9,
        retrying_since=time.time() - 38 * MINUTE,
        ceiling_at=time.time() + 23.4 * HOUR,
        last_refreshed_at=time.time() - 98 * MINUTE,
    )


def every_state() -> list[WorkloadView]:
    """One workload for every detail, in its most common status."""
    red = {Detail.REFUSED, Detail.LOST_ROTATION, Detail.ENDED, Detail.CEILING, Detail.NEVER_SIGNED_IN}
    status = {
        **dict.fromkeys(red, Status.UNAUTHENTICATED),
        Detail.CONFIG_ERROR: Status.ERROR,
        Detail.CONFIRM_CHANGE: Status.ERROR,
        Detail.UPSTREAM_REJECTS: Status.UNHEALTHY,
        Detail.PAUSED: Status.STOPPED,
        Detail.STARTING: Status.STARTING,
        Detail.OK: Status.RUNNING,
        Detail.NOT_STORED: Status.RUNNING,
        Detail.REFRESH_DELAYED: Status.RUNNING,
        Detail.PERMISSION_NEEDED: Status.RUNNING,
        Detail.STRONGER_SIGN_IN: Status.RUNNING,
    }
    views = [
        workload_view(
            f"is-{detail.value}".replace("_", "-"),
            status.get(detail, Status.AUTH_RETRYING),
            detail,
            "" if detail is Detail.OK else "One sentence of the app about it.",
            problem=FIREWALL if detail is not Detail.OK else None,
            next_in=90.0 if status.get(detail) is None else None,
            attempts=3 if status.get(detail) is None else 0,
        )
        for detail in Detail
    ]
    doubt = Problem(
        "id_token", "Signed in, but whose account it is could not be checked: the server's keys cannot be had."
    )
    away = Problem("different_account", "You signed in with another account than before.")
    return [
        *views,
        workload_view("is-signing-in", Status.UNAUTHENTICATED, Detail.REFUSED, "Finish it.", signing_in=True),
        workload_view("is-other-account", Status.UNAUTHENTICATED, Detail.REFUSED, "Choose.", sign_in_error=away),
        workload_view("is-doubtful", sign_in_warning=doubt),
        workload_view("is-removing", Status.REMOVING, Detail.OK, "Being removed: its login is revoked and deleted."),
        workload_view("is-unknown", Status.UNKNOWN, Detail.OK, "Nobody knows."),
    ]


def part(ago: float, status: Status, detail: str, text: str = "") -> Segment:
    """One segment of a history, beginning `ago` seconds before now."""
    drawn = style_of(status)
    return Segment(time.time() - ago, status.value, drawn.colour.name.lower(), drawn.glyph.value, detail, text)


def day(view: WorkloadView) -> list[Segment]:
    """A day on a laptop: a night asleep, a bad half hour in the morning, and the view's state now."""
    rows = [
        part(25 * HOUR, Status.RUNNING, "ok", "Running."),
        part(19.5 * HOUR, Status.UNKNOWN, "asleep", "The computer was asleep."),
        part(11.0 * HOUR, Status.STARTING, "settling", "The network just changed."),
        part(
            10.99 * HOUR, Status.AUTH_RETRYING, "offline", "No network connection. Amberlight continues automatically."
        ),
        part(10.4 * HOUR, Status.RUNNING, "ok", "Running."),
    ]
    if view.auth.since > rows[-1].at:
        rows.append(segment(view, view.auth.since))
    return rows


def busy_day(number: int, every: float = 4.8) -> list[Segment]:
    """A day on which a workload changed state every `every` minutes: 300 segments."""
    states = [(Status.RUNNING, "ok"), (Status.AUTH_RETRYING, "retrying"), (Status.RUNNING, "refresh_delayed")]
    steps = range(int(1440 / every), 0, -1)
    return [
        part(i * every * MINUTE + number, *states[(i + number) % 3], "The server cannot be reached.") for i in steps
    ]


def many(count: int = 200) -> list[WorkloadView]:
    """This many workloads, most of them well."""
    made: list[WorkloadView] = []
    for i in range(count):
        name = f"workload-{i:03}"
        if i % 40 == 7:
            made.append(
                workload_view(name, Status.UNAUTHENTICATED, Detail.REFUSED, "The server ended it.", problem=ENDED)
            )
        elif i % 9 == 4:
            made.append(
                workload_view(
                    name,
                    Status.AUTH_RETRYING,
                    Detail.RETRYING,
                    "Trying.",
                    problem=FIREWALL,
                    next_in=60.0 + i,
                    attempts=3,
                )
            )
        else:
            made.append(workload_view(name, last_refreshed_at=time.time() - i * 10))
    return made


def clients(home: Path) -> None:
    """Installed clients in every state: well, stale, past Amberlight, another's name, unreadable, and without any."""
    entries = {
        ".cursor/mcp.json": {"mcpServers": {"github": _entry("github")}},
        ".codex/config.toml": None,
        ".gemini/settings.json": {"mcpServers": {"github": {"httpUrl": "https://api.githubcopilot.com/mcp/"}}},
        ".kiro/settings/mcp.json": {
            "mcpServers": {"github": {"command": "docker"}, "notion": _entry("notion", port=9)}
        },
        ".factory/mcp.json": {"mcpServers": {"github": _entry("github", key="old"), "linear": _entry("linear")}},
        ".config/zed/settings.json": "{ // not finished\n",
    }
    (home / ".claude").mkdir(parents=True)
    for name, content in entries.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))


def _entry(name: str, *, port: int = 8765, key: str = "") -> dict[str, object]:
    shown = {"Authorization": f"Bearer {key or f'local-key-of-{name}'}"}
    return {"type": "http", "url": f"http://127.0.0.1:{port}/w/{name}", "headers": shown}


def requests() -> list[Request]:
    """What clients asked for, oldest first."""
    now = time.time()
    claude = {"name": "claude-code", "title": "Claude Code", "version": "2.1.0"}
    return [
        Request(now - 300, "notion", "", None, False, "GET", "/v1/users", 200, True, 1.2),
        Request(now - 120, "github", "cursor/1.0", None, True, "tools/list", "", None, True, 30.0),
        Request(now - 60, "github", "cursor/1.0", None, True, "tools/call", "search", 503, False, 0.01),
        Request(now - 5, "github", "", claude, True, "tools/call", "create_issue", 200, True, 0.25),
    ]


def checks() -> list[Check]:
    """Checks of every state; one can be fixed."""
    return [
        Check("state", "ok", "state.db is written."),
        Check("clients", "ok", "1 installed, none connected.", "Connect one: amberlight connect CLIENT"),
        Check("keyring", "warning", "The keyring is locked.", "Unlock it."),
        Check("Cursor", "problem", "github has an old key.", "Run amberlight doctor --fix.", fixable=True),
    ]


def log_entries(now: float) -> list[LogEntry]:
    """The end of a log, newest first."""
    return [
        LogEntry(now - 5, "error", "amberlight.engine", "an effect failed\nTraceback (most recent call last):\n  …"),
        LogEntry(now - 60, "warning", "amberlight.tokens", "github: the server refused the login"),
        LogEntry(now - 90, "info", "amberlight.engine", "notion: refreshed"),
        LogEntry(now - 95, "debug", "amberlight.engine", "a pass"),
    ]


def others() -> list[WorkloadView]:
    """ToolHive's workloads in every state, with one whose name is also ours, and a word of a later version."""
    return [
        other_view("github", "auth_retrying", "token refresh failed: dial tcp: i/o timeout", ago=4 * MINUTE),
        other_view("Figma.v2", "unauthenticated", "the refresh token was rejected (invalid_grant)", ago=50 * MINUTE),
        other_view("grafana", ago=6 * HOUR),
        other_view("stripe", "starting", ago=20),
        other_view("jira", "error", "container exited with status 1", ago=2 * HOUR),
        other_view("vercel", "unhealthy", "health check failed", ago=HOUR),
        other_view("asana", "hibernating", ago=HOUR),
        other_view("slack", "stopped", ago=24 * HOUR),
        other_view("miro", "policy_stopped", "blocked by policy", ago=24 * HOUR),
    ]


def refused(text: str) -> Rejected:
    """A refusal of something that can't be done now."""
    return Rejected(409, "cannot", text)


PLAN = TakeOverPlan(
    "github-2",
    "https://mcp.github.example/mcp",
    "ToolHive",
    None,
    (("Cursor", "~/.cursor/mcp.json", "github"), ("Zed", "~/.config/zed/settings.json", "github-2")),
    ("Its scopes are those of ToolHive.",),
    needs_secret=False,
    problem="",
)

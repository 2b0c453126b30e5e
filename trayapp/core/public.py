"""JSON objects of the workloads API, as pure functions of public values.

No secret reaches this module: nothing here takes a `Login` or an `AccessToken`. Times come in as wall seconds and leave
as RFC 3339 in UTC with `Z`. Every key is always present; what isn't known is `null`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import TypeAlias
from urllib.parse import urlsplit

from trayapp.core.advice import advice
from trayapp.core.labels import label
from trayapp.core.model import DeviceCode, Problem, Spec
from trayapp.core.outages import BY_COMMAND, BY_MENU, Outage, fact, movable, remedy
from trayapp.core.snapshot import AuthView, External, Snapshot, Status, Unavailable, WorkloadView
from trayapp.core.wall_time import utc_datetime

Json: TypeAlias = dict[str, object]

LISTED = frozenset(  # without --all (RULES.md section 2); ToolHive lists only the first two, and so hides the red ones
    {
        Status.RUNNING,
        Status.AUTH_RETRYING,
        Status.UNAUTHENTICATED,
        Status.ERROR,
        Status.UNHEALTHY,
        Status.STARTING,
    }
)

OWNER = "Amberlight"  # of our own workloads
TRANSPORT = "streamable-http"  # of the proxy, in ToolHive's terms


def rfc3339(wall: float | None) -> str | None:
    """Wall seconds as `2026-01-02T03:04:05.678Z`; None for None, for NaN or infinity, and for times before 1970."""
    if wall is None or not math.isfinite(wall) or wall < 0:
        return None
    return utc_datetime(wall).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def problem_json(problem: Problem | None) -> Json | None:
    """`last_error`: `{kind, http_status, code, summary}`."""
    if problem is None:
        return None
    return {
        "kind": problem.kind,
        "http_status": problem.http_status,
        "code": problem.code,
        "summary": problem.summary,
    }


def device_json(device: DeviceCode | None) -> Json | None:
    """`device`: the user code and where to type it (RFC 8628 section 3.2)."""
    if device is None:
        return None
    return {
        "user_code": device.user_code,
        "verification_uri": device.verification_uri,
        "verification_uri_complete": device.verification_uri_complete or None,
        "expires_at": rfc3339(device.expires_wall),
    }


def auth_json(auth: AuthView) -> Json:
    """The `auth` object: why the status is what it is, as fields instead of prose."""
    return {
        "detail": auth.detail.value,
        "since": rfc3339(auth.since),
        "attempts": auth.attempts,
        "last_outcome": auth.last_outcome,
        "last_error": problem_json(auth.last_error),
        "last_trigger": auth.last_trigger,
        "next_attempt_at": rfc3339(auth.next_attempt_at),
        "ceiling_at": rfc3339(auth.ceiling_at),
        "account": auth.account or None,
        "usable": auth.usable,
        "token_expires_at": rfc3339(auth.token_expires_at),
        "renewable": auth.renewable,
        "bound": auth.bound,
        "login_ends_at": rfc3339(auth.login_ends_at),
        "missing_scopes": list(auth.missing_scopes),
        "reauthorize_scopes": list(auth.reauthorize_scopes),
        "retrying_since": rfc3339(auth.retrying_since),
        "last_refreshed_at": rfc3339(auth.last_refreshed_at),
        "lost_rotations": auth.lost_rotations,
        "signing_in": auth.signing_in,
        "device": device_json(auth.device),
        "browser_fault": auth.browser_fault.value if auth.browser_fault else None,
        "sign_in_error": problem_json(auth.sign_in_error),
        "sign_in_warning": problem_json(auth.sign_in_warning),
        "redirected_to": auth.redirected_to or None,
        "refused_at": rfc3339(auth.refused_at),
        "rechecked_at": rfc3339(auth.rechecked_at),
    }


def list_row_json(view: WorkloadView, *, port: int, created_at: float, started_at: float) -> Json:
    """One workload of the list: ToolHive's keys and our own. `package` is empty: all workloads are remote.

    Of another program's, `owner` is that program, `port` the one where its clients reach it (0: not known), and `status` may be a word that isn't in `Status`.
    """
    facts = view.external
    return {
        "name": view.name,
        "owner": facts.owner if facts else OWNER,
        "kind": view.kind,
        "package": "",
        "url": view.url,
        "port": _port(facts.client_url) if facts else port,
        "transport_type": TRANSPORT,
        "status": facts.word if facts else view.status.value,
        "status_context": view.status_context,
        "created_at": rfc3339(created_at),
        "remote": True,
        "started_at": rfc3339(started_at),
        "health": view.health.value,
        "colour": view.colour.name.lower(),
        "glyph": view.glyph.value,
        "label": label(view),
        "action": advice(view)[0],
        "help": advice(view)[1],
        "auth": auth_json(view.auth),
        "external": external_json(facts),
    }


def _port(url: str) -> int:
    try:
        return urlsplit(url).port or 0
    except ValueError:
        return 0


def external_json(facts: External | None) -> Json | None:
    """`external`: what is known of another program's workload, and what can be done about it from here."""
    if facts is None:
        return None
    return {
        "name": facts.name,
        "client_url": facts.client_url or None,
        "actions": [verb.value for verb in facts.actions],
        "doing": facts.doing or None,
    }


def status_json(view: WorkloadView) -> Json:
    """One workload's status: `{name, owner, kind, status, status_context, health, url, auth, external}`."""
    facts = view.external
    return {
        "name": view.name,
        "owner": facts.owner if facts else OWNER,
        "kind": view.kind,
        "status": facts.word if facts else view.status.value,
        "status_context": view.status_context,
        "health": view.health.value,
        "url": view.url,
        "auth": auth_json(view.auth),
        "external": external_json(facts),
    }


def spec_json(spec: Spec) -> Json:
    """One workload's configuration, its OAuth part also in ToolHive's form; `policy` is in seconds."""
    return {
        "name": spec.name,
        "kind": spec.kind,
        "url": spec.url,
        "hosts": list(spec.hosts),
        "transport": TRANSPORT,
        "oauth_config": {
            "issuer": spec.issuer,
            "authorize_url": spec.authorization_endpoint,
            "token_url": spec.token_endpoint,
            "client_id": spec.client_id,
            "scopes": list(spec.scopes),
            "use_pkce": True,
            "callback_port": spec.redirect_port,
            "resource": spec.resource,
        },
        "client_id": spec.client_id,
        "client_key_file": spec.client_key_file,
        "client_metadata_url": spec.client_metadata_url,
        "issuer": spec.issuer,
        "metadata_url": spec.metadata_url,
        "authorization_endpoint": spec.authorization_endpoint,
        "token_endpoint": spec.token_endpoint,
        "revocation_endpoint": spec.revocation_endpoint,
        "device_authorization_endpoint": spec.device_authorization_endpoint,
        "flow": spec.flow,
        "scopes": list(spec.scopes),
        "resource": spec.resource,
        "omit_resource": spec.omit_resource,
        "redirect_port": spec.redirect_port,
        "dpop": spec.dpop,
        "require_key": spec.require_key,
        "allowed_origins": list(spec.allowed_origins),
        "mcp": spec.mcp,
        "policy": asdict(spec.policy),
    }


def unavailable_json(unavailable: Unavailable) -> Json:
    """The body of the 503 for a caller that gets no token (M15)."""
    return {
        "error": unavailable.error,
        "status": unavailable.status.value,
        "detail": unavailable.detail.value,
        "since": rfc3339(unavailable.since),
        "next_attempt_at": rfc3339(unavailable.next_attempt_at),
        "help": unavailable.help,
    }


def outage_json(outage: Outage | None) -> Json | None:
    """Why clients can't reach Amberlight: `text` says it, `help` and `command_help` what to click or to run."""
    if outage is None:
        return None
    return {
        "port": outage.port,
        "cause": outage.cause.value,
        "holder": outage.holder or None,
        "listening": outage.listening,
        "movable": movable(outage),
        "text": fact(outage),
        "help": remedy(outage, how=BY_MENU),
        "command_help": remedy(outage, how=BY_COMMAND),
    }


def app_json(snapshot: Snapshot, version: str, started_at: float) -> Json:
    """The state of the app itself: `warnings`, `broken` and `outdated` are sentences, `gate` is a `Detail` or empty."""
    return {
        "version": version,
        "started_at": rfc3339(started_at),
        "gate": snapshot.gate,
        "muted": snapshot.muted,
        "broken": snapshot.broken,
        "outdated": snapshot.outdated,
        "outage": outage_json(snapshot.outage),
        "this_run_only": snapshot.this_run_only,
        "warnings": list(snapshot.warnings),
        "removals": [
            {
                "name": each.name,
                "server": each.server or None,
                "deleted": each.deleted,
                "revoked": each.revoked,
                "until": rfc3339(each.until),
            }
            for each in snapshot.removals
        ],
    }


def listed_views(snapshot: Snapshot, *, everything: bool) -> Iterable[WorkloadView]:
    """The workloads of a list, sorted by name; without `everything` only those whose status is in `LISTED`."""
    by_name = sorted(snapshot.workloads.values(), key=lambda view: view.name)
    return [view for view in by_name if everything or view.status in LISTED]

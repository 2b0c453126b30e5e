"""Operations that edit the configuration: add, change, rename and remove workloads, sign out, and the settings."""

from __future__ import annotations

from trayapp.api.editing_schemas import SETTING_KEYS
from trayapp.api.operation import ALL, BASE, ONE, Operation, click
from trayapp.api.schemas import KEYS
from trayapp.api.shapes import FLAG, TEXT, nullable, ref

_CHECK = {**FLAG, "description": "Look at the server first; nothing is written if it can't be used."}
_SECRET = {**TEXT, "description": "Of `client_id`. Goes to the keyring, never to config.toml."}
_REVISION = "With `If-Match` nothing is written if it has changed since (412)."

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "add",
        "POST",
        ALL,
        "Write a workload into the configuration and load it: the keys of `[workloads.NAME]` and its name. `Notion` "
        "becomes `notion`, and a URL without https:// gets it. A workload that was never signed in to is corrected in "
        "place. A refusal leaves nothing behind; its `fields` name all invalid fields. `client_id_needed` says "
        "which `redirect_uri` to register. `url` is required unless `kind` is `account`. The sign-in is another request.",
        {201: ref("Workload")},
        body={"name": TEXT, **KEYS, "client_secret": _SECRET, "check": _CHECK},
        required=("name",),
        refusals=(409,),
    ),
    Operation(
        "workload_settings",
        "GET",
        f"{ONE}/settings",
        "Each key that `[workloads.NAME]` may have, with its value, its default and what it means.",
        {200: ref("Settings")},
        refusals=(409,),
    ),
    Operation(
        "edit",
        "PATCH",
        ONE,
        "Change keys of `[workloads.NAME]`; null takes one out. Another `name` renames it: login, history and local key "
        "stay, and the entries of clients are changed. With `check` alone it only says whether the server wants anything "
        f"more. {_REVISION}",
        {200: ref("Edited")},
        body={
            "name": TEXT,
            **{key: nullable(shape) for key, shape in KEYS.items()},
            "client_secret": nullable(_SECRET),
            "check": _CHECK,
        },
        refusals=(409, 412),
        revised=True,
    ),
    Operation(
        "remove",
        "DELETE",
        ONE,
        "Revoke and delete its login, take it out of the configuration, and the entries that we wrote out of clients' files.",
        {202: ref("Removed")},
        body={},
        refusals=(409,),
    ),
    click("sign_out", f"{ONE}/sign-out", "Revoke and delete its login; the workload stays."),
    Operation(
        "settings",
        "GET",
        f"{BASE}/settings",
        "Each setting of the app, with its value, its default and what it means.",
        {200: ref("Settings")},
        refusals=(409,),
    ),
    Operation(
        "change_settings",
        "PATCH",
        f"{BASE}/settings",
        f"Change settings; null takes one out, so that its default applies. All of them or none. {_REVISION}",
        {200: ref("Settings")},
        body={key: nullable(shape) for key, shape in SETTING_KEYS.items()},
        refusals=(409, 412),
        revised=True,
    ),
)

"""JSON Schemas of what edits the configuration, and of refusals."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.api.shapes import COUNT, FLAG, TEXT, array, nullable, object_of, ref
from trayapp.config.settings import IN_SETTINGS
from trayapp.core.public import Json

SETTING_KEYS: Mapping[str, Json] = {  # what `PATCH …/settings` takes
    **{name: {"description": "As in config.toml."} for name in IN_SETTINGS},
    "start_at_login": FLAG,
}
SCHEMAS: Mapping[str, Json] = {
    "Settings": object_of(
        "All settings of one table of config.toml. `revision` is for `If-Match`; `file` is the user's config.toml.",
        {
            "revision": TEXT,
            "file": TEXT,
            "problem": {"type": "string", "description": "Why the file can't be changed; empty if it can."},
            "settings": array(ref("Setting")),
        },
    ),
    "Setting": object_of(
        'One setting. `value` and `default` are as in config.toml, durations as "10s"; null: there is none.',
        {
            "name": TEXT,
            "group": {"enum": ["general", "notifications", "network", "access", "server", "diagnostics", "timing"]},
            "kind": {
                "enum": [
                    *("flag", "count", "number", "port", "duration", "durations", "choice", "choices"),
                    *("hours", "text", "texts", "url"),
                ],
                "description": "What the value is: `count` is whole, `choices` any of them, `durations` and `texts` lists.",
            },
            "meaning": {**TEXT, "description": "What it does, as in the reference; not a whole sentence."},
            "help": {**TEXT, "description": "What a valid value looks like, in sentences."},
            "value": {"description": "What applies now."},
            "default": {"description": "What applies without the user's own value."},
            "changed": {**FLAG, "description": "The user's config.toml sets it in this table."},
            "source": {
                "enum": ["default", "file", "site", "settings", "environment", "menu", "system"],
                "description": "Where `value` is from. `settings`: the app's own, for a workload's timing.",
            },
            "required": {**FLAG, "description": "It can be changed, but not taken out."},
            "choices": array(TEXT),
            "minimum": nullable({"type": "number"}),
            "maximum": nullable({"type": "number"}),
            "note": {**TEXT, "description": "What to know about its state, in sentences; mostly empty."},
        },
    ),
    "Edited": object_of(
        "The workload afterwards. `message` says what was done; `notes` what is left to do, a sentence each.",
        {"workload": ref("Workload"), "message": TEXT, "notes": array(TEXT)},
    ),
    "Removed": object_of("`notes` are what else to know, a sentence each.", {"notes": array(TEXT)}),
    "Error": object_of(
        "Every refusal; `field` names an invalid field of the body, and `fields` all of them, with a sentence each. "
        "With `client_id_needed`: the redirect address to register, the port that belongs to it, and whether the server "
        "wants a client secret.",
        {
            "error": TEXT,
            "message": TEXT,
            "field": TEXT,
            "fields": {"type": "object", "additionalProperties": TEXT},
            "redirect_uri": TEXT,
            "redirect_port": COUNT,
            "client_secret": {"enum": ["required", "optional", "none"]},
            "client_from": {**TEXT, "description": "Where to create a client; completes “Create one …”. May be empty."},
        },
        optional=("field", "fields", "redirect_uri", "redirect_port", "client_secret", "client_from"),
    ),
}

"""Plan of a sign-in before anybody's browser opens: which server, which client, which scopes, which resource.

Configured values win. The rest is discovered (`discovery.py`) or registered (`registration.py`) and remembered, so that
a sign-in still works while the workload itself can't be reached. Neither a start nor a refresh ever uses this module.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from trayapp.core.model import Problem, Secret, Spec
from trayapp.oauth.callback import bind
from trayapp.oauth.client_store import ClientRecord, ClientRecords
from trayapp.oauth.discovery import DiscoveredServer, discover
from trayapp.oauth.metadata import METADATA_LIMIT, Endpoints, fetch_metadata, find_endpoints, read_metadata
from trayapp.oauth.registration import (
    SECRET_METHODS,
    RegisteredClient,
    is_unknown_client,
    no_registration_problem,
    register,
)
from trayapp.oauth.tokens import CodeGrant, HttpTokens
from trayapp.oauth.wire import Wire

log = logging.getLogger(__name__)

DISCOVERY_LIMIT = 30.0  # s in all: a slow server that names slow servers must not keep a person waiting for minutes
KNOWN_CLIENT_LIMIT = 8.0  # s to ask whether a registration is still known
# Kinds of problems that come from the server itself, not from the way to it.
SERVER_PROBLEMS = ("metadata", "portal", "no_sign_in")

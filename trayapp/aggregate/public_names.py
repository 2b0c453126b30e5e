"""Public names of tools and prompts, `WORKLOAD_tool`: unique, and the same in every run.

Clients pass tool names to language models, which accept letters, digits, `_` and `-`, at most 64 of them. A name that
is too long or holds other characters is shortened and ends in eight hexadecimal digits of a hash of the full name, so
it stays the same. As names of workloads may contain `_`, two tools can end up with the same name (`a_b` + `c`,
`a` + `b_c`). Then both get the hash, and the plain name stands for neither, so that a client with an old list is told
so instead of calling the wrong tool.

A resource keeps its own URI behind `amberlight://WORKLOAD/`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

LENGTH_MAX = 64  # characters; the limit of the APIs behind most clients
HASH_DIGITS = 8
WORKLOAD_MAX = 27  # characters of the workload's name in a shortened name; the rest is left to the tool
SCHEME = "amberlight://"

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]")

QualifiedName: TypeAlias = tuple[str, str]  # the workload, and its own name for the item


def preferred(workload: str, own_name: str) -> str:
    """The usual public name, hashed only if it must be."""
    name = f"{workload}_{own_name}"
    return name if len(name) <= LENGTH_MAX and not _NOT_ALLOWED.search(name) else hashed(workload, own_name)


def hashed(workload: str, own_name: str) -> str:
    """The public name where the usual one is too long, has other characters, or is ambiguous."""
    digest = hashlib.sha256(f"{workload}\0{own_name}".encode()).hexdigest()[:HASH_DIGITS]
    head = workload[:WORKLOAD_MAX]
    tail = _NOT_ALLOWED.sub("_", own_name)[: LENGTH_MAX - len(head) - HASH_DIGITS - 2]
    return f"{head}_{tail}_{digest}"


def assign(items: Iterable[QualifiedName]) -> dict[str, QualifiedName]:
    """A public name for every item."""
    by_name: defaultdict[str, set[QualifiedName]] = defaultdict(set)
    for qualified in items:
        by_name[preferred(*qualified)].add(qualified)
    found: dict[str, QualifiedName] = {}
    for name, owners in by_name.items():
        for qualified in owners:
            found[name if len(owners) == 1 else hashed(*qualified)] = qualified
    return found


def public_uri(workload: str, own_name: str) -> str:
    """The public URI of a resource or a resource template."""
    return f"{SCHEME}{workload}/{own_name}"


def parse_uri(text: str) -> QualifiedName | None:
    """The workload and its own URI; None if this isn't a public URI."""
    if not text.startswith(SCHEME):
        return None
    workload, slash, own_name = text.removeprefix(SCHEME).partition("/")
    return (workload, own_name) if workload and slash and own_name else None

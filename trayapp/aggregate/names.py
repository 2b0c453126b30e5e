"""What the things of a workload are called in public: `NAME_tool`, and never one name for two of them.

Clients hand tool names to language models, which take letters, digits, `_` and `-`, at most 64 of them. A name that is
longer or odd is cut and ends in eight hexadecimal digits of a digest of the whole, so it stays the same in every run. As
names of workloads may hold `_`, two tools may come to one name (`a_b` + `c`, `a` + `b_c`): then both get the digits, and
the plain name means nobody, so that a client with an old list is told so and does not call the wrong one.

A resource keeps its own address behind `amberlight://NAME/`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

LIMIT = 64  # characters; of the APIs behind most clients
DIGITS = 8  # of the digest
HEAD = 27  # characters of a workload's name that a cut name keeps: the rest tells the tool
SCHEME = "amberlight://"

_ODD = re.compile(r"[^A-Za-z0-9_-]")

Owned: TypeAlias = tuple[str, str]  # the workload, and its own name for the thing


def plain(workload: str, own: str) -> str:
    """The usual public name."""
    name = f"{workload}_{own}"
    return name if len(name) <= LIMIT and not _ODD.search(name) else marked(workload, own)


def marked(workload: str, own: str) -> str:
    """The public name where the usual one is too long, odd, or another's too."""
    digest = hashlib.sha256(f"{workload}\0{own}".encode()).hexdigest()[:DIGITS]
    head = workload[:HEAD]
    tail = _ODD.sub("_", own)[: LIMIT - len(head) - DIGITS - 2]
    return f"{head}_{tail}_{digest}"


def published(things: Iterable[Owned]) -> dict[str, Owned]:
    """Every thing by its public name."""
    by_name: defaultdict[str, set[Owned]] = defaultdict(set)
    for owned in things:
        by_name[plain(*owned)].add(owned)
    found: dict[str, Owned] = {}
    for name, owners in by_name.items():
        for owned in owners:
            found[name if len(owners) == 1 else marked(*owned)] = owned
    return found


def uri(workload: str, own: str) -> str:
    """The public address of a resource, or of a template of addresses."""
    return f"{SCHEME}{workload}/{own}"


def of_uri(text: str) -> Owned | None:
    """Whose resource this address means, and its own address; None for an address that is not ours."""
    if not text.startswith(SCHEME):
        return None
    workload, slash, own = text.removeprefix(SCHEME).partition("/")
    return (workload, own) if workload and slash and own else None

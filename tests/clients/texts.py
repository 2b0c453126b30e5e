"""Texts as people and programs write clients' files: comments, any layout and line ends, odd but valid forms."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import strategies as st

from trayapp.clients.table import Client, Syntax

WORDS = st.sampled_from(
    ["a", "b c", "ü", "", "x.y", 'q"', "#", "//", "/*", "{", "a: b", "\U0001f511", "- z", "'", "\\", "own"]
)
SCALARS = st.none() | st.booleans() | st.integers(-9, 99) | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)
COMMENTS = ["one", "{", '"a": 1,', "ü", "", "[mcp_servers.notion]", "mcpServers:"]


@st.composite
def texts(draw: st.DrawFn, client: Client) -> str:
    """A file of this client, with or without servers in it; not always a valid one."""
    dice = draw(st.randoms(use_true_random=False))
    match client.syntax:
        case Syntax.JSON:
            text = _json(draw, dice, client.servers)
        case Syntax.TOML:
            text = _toml(dice, client.servers[0], listed=client.listed)
        case _:
            text = _yaml(dice, client.servers[0], listed=client.listed)
    if dice.random() < 0.3:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    if dice.random() < 0.2:
        text = text.rstrip()
    return ("\ufeff" if dice.random() < 0.15 else "") + text


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json(draw: st.DrawFn, dice: random.Random, place: tuple[str, ...]) -> str:
    members = draw(st.lists(st.tuples(WORDS, VALUES), max_size=3))  # a key may occur twice
    inner = draw(st.lists(st.tuples(WORDS, VALUES), max_size=3))
    value: Any = dice.choice([_Pairs(inner), _Pairs(inner), _Pairs([]), None, "absent"])
    if value != "absent":
        for key in reversed(place[1:]):
            value = _Pairs([(key, value)])
        members.insert(dice.randint(0, len(members)), (place[0], value))
    layout = dice.choice(["plain", "plain", "tabs", "compact", "spaced", "wild"])
    return _JsonWriter(dice, layout).text(_Pairs(members))


class _Pairs(list[tuple[str, Any]]):
    """An object whose keys may occur twice."""


class _JsonWriter:
    def __init__(self, dice: random.Random, layout: str) -> None:
        self._dice, self._layout = dice, layout
        self._trailing = layout in ("plain", "wild") and dice.random() < 0.3
        self._comments = layout in ("plain", "tabs", "wild") and dice.random() < 0.5
        self._unit = {"tabs": "\t", "plain": dice.choice(["  ", "    ", " "])}.get(layout, "")

    def text(self, value: Any) -> str:
        head = self._dice.choice(["", "\n", "// top\n", "/* top */ "]) if self._comments else ""
        return (
            head
            + self._value(value, "")
            + self._dice.choice(["", "\n", "\n\n", "\n// end", " "] if self._comments else ["", "\n"])
        )

    def _value(self, value: Any, indent: str) -> str:
        if isinstance(value, dict):
            value = _Pairs(value.items())
        if isinstance(value, _Pairs):
            return self._items([(json.dumps(k, ensure_ascii=False) + self._colon(), v) for k, v in value], "{}", indent)
        if isinstance(value, list):
            return self._items([("", each) for each in value], "[]", indent)
        return json.dumps(value, ensure_ascii=self._dice.random() < 0.5)

    def _items(self, items: list[tuple[str, Any]], brackets: str, indent: str) -> str:
        if not items:
            return (
                brackets[0]
                + self._dice.choice(["", "", " ", "\n", " /* none */ "] if self._layout == "wild" else [""])
                + brackets[1]
            )
        inner = indent + self._unit
        made = brackets[0]
        for place, (head, value) in enumerate(items):
            last = place == len(items) - 1
            made += self._blank(inner) + head + self._value(value, inner)
            if not last or self._trailing:
                made += self._gap() + ","
                if self._comments and self._dice.random() < 0.3:
                    made += self._dice.choice([" // ", " /* "]).ljust(4)
                    made += self._dice.choice(COMMENTS)
                    made += " */" if "/*" in made.rsplit("\n", 1)[-1] and "//" not in made.rsplit("\n", 1)[-1] else "\n"
            elif self._comments and self._dice.random() < 0.3:
                made += f" // {self._dice.choice(COMMENTS)}\n"
        return made + self._blank(indent) + brackets[1]

    def _blank(self, indent: str) -> str:
        if self._layout == "compact":
            return ""
        if self._layout == "spaced":
            return " "
        if self._layout == "wild":
            return self._dice.choice(["", " ", "\n", "\n\n  ", "\t", "/* w */", "\n// w\n ", " \n\t"])
        comment = f"\n{indent}// {self._dice.choice(COMMENTS)}" if self._comments and self._dice.random() < 0.2 else ""
        return f"{comment}\n{indent}"

    def _colon(self) -> str:
        return (
            self._dice.choice([":", " : ", ":\n", "/* c */: "])
            if self._layout == "wild"
            else ":"
            if self._layout == "compact"
            else ": "
        )

    def _gap(self) -> str:
        return self._dice.choice(["", " ", "\n", "/* g */"]) if self._layout == "wild" else ""


# --- TOML ------------------------------------------------------------------------------------------------------------


def _toml(dice: random.Random, servers: str, *, listed: bool) -> str:
    top = [
        "a = 1\n",
        'b = "x" # c\n',
        "# a comment\n",
        "\n",
        'c = """\n[mcp_servers.notion]\n# no comment\n"""\n',
        "d = [\n  1, # one\n  2,\n]\n",
        "e = { x = 1, y = { z = 'q' } }\n",
        "f.g.h = true\n",
        "  i = '''\n'x'''\n",
        '"j k" = 1979-05-27T07:32:00Z\n',
        "ü = 1\n" if dice.random() < 0.1 else "l = inf\n",
        f"{servers}.dotted.command = 'x'\n" if not listed and dice.random() < 0.2 else "",
        f"{servers} = {'[]' if listed else '{ }'} # none\n" if dice.random() < 0.15 else "",
        f"{servers} = [ {{ name = 'in' }} ]\n" if listed and dice.random() < 0.1 else "",
    ]
    tables = [
        "[other]\nx = 1\n",
        "[[points]]\nx = 1 # one\n\n[[points]]\nx = 2\n",
        '[deep.er."st ill"]\ny = [1]\n',
        "# tail\n",
        "\n\n",
        "  [indented]\n  z = 1\n",
    ]
    head = f"[[{servers}]]" if listed else f"[{servers}.%s]"
    own = [
        "{head}\nname = '%s'\ncommand = 'x' # keep\n",
        "{head}\n# inside\nname = '%s'\n\nargs = [\n 'a', # b\n]\n",
        "{head} # behind\nname = '%s'\nenv = {{ A = 'b' }}\n# after\n",
    ]
    made = [text for text in top if dice.random() < 0.3]
    dice.shuffle(made)
    blocks = [text for text in tables if dice.random() < 0.4]
    for number in range(dice.choice([0, 0, 1, 2, 3])):
        name = f"own{number}"
        text = (
            dice.choice(own)
            .replace("{head}", head if listed else head % f"own{number}")
            .replace("{{", "{")
            .replace("}}", "}")
            % name
        )
        if dice.random() < 0.3:
            text += f"\n[{servers}.env]\nA = '1'\n" if listed else f"\n[{servers}.{name}.env]\nA = '1'\n"
        blocks.insert(dice.randint(0, len(blocks)), text)
    if not listed and dice.random() < 0.2:
        blocks.insert(0, f"[{servers}]\n" + dice.choice(["", "inline = { command = 'x' }\n", "# none\n"]))
    return dice.choice(["", "\n"]).join([*made, *blocks])


# --- YAML ------------------------------------------------------------------------------------------------------------


def _yaml(dice: random.Random, servers: str, *, listed: bool) -> str:
    others = [
        "a: 1\n",
        "b: 'x' # c\n",
        "# a comment\n",
        "\n",
        "c: |\n  text:\n    mcpServers: no\n\n",
        "c2: >-\n  folded\n\n  text\n# behind a text\n",
        "d: {x: [1, 2], y: {z: q}}\n",
        "e:\n  - 1\n  - f: g\n    h: i\n",
        "j:\n- k\n-   l: m\n",
        "base: &base\n  x: 1\nuses: *base\nmerged:\n  <<: *base\n  y: 2\n",
        '"ü k": "\\u00fc"\n',
        "multi: one\n  two\n  three\n",
        "flow: [\n  1, # one\n  2\n]\n",
        "n: null\nempty:\n",
        "? complex\n: value\n",
        "tabbed:\t1\n",
        "date: 2026-01-01\n",
    ]
    dash = dice.choice(["  - ", "- ", "    - "])
    step = dice.choice(["  ", "    ", " "])
    if listed:
        own = [
            f"{dash}name: %s\n{' ' * len(dash)}command: x # keep\n",
            f"{dash}name: %s # n\n{' ' * len(dash)}args:\n{' ' * len(dash)}- a\n\n{' ' * len(dash)}# inner\n",
            f"{dash}{{name: %s, command: x}}\n",
            f"{dash}name: %s\n{' ' * len(dash)}text: |\n{' ' * len(dash)}  t\n\n",
        ]
    else:
        own = [
            f"{step}%s:\n{step * 2}cmd: x # keep\n",
            f"{step}%s: {{cmd: x}} # flow\n",
            f"{step}# before\n{step}'%s':\n{step * 2}args:\n{step * 2}- a\n",
            f"{step}%s:\n{step * 2}text: |\n{step * 3}t\n\n{step * 3}u\n\n",
            f"{step}%s:\n",
        ]
    entries = "".join(dice.choice(own) % f"own{n}" for n in range(dice.choice([1, 1, 2, 3])))
    block = dice.choice(
        [
            f"{servers}:\n{entries}",
            f"{servers}: # here\n{entries}",
            f"{servers}:\n",
            f"{servers}: {'[]' if listed else '{}'}\n",
        ]
        + [f"{servers}:\n{entries}"] * 3
        + [f"{servers}: null # no\n", f"{servers}: ~\n", f"'{servers}':\n{entries}"]
    )
    made = [text for text in others if dice.random() < 0.25]
    dice.shuffle(made)
    if dice.random() < 0.7:
        made.insert(dice.randint(0, len(made)), block)
    head = dice.choice(["", "", "", "---\n", "%YAML 1.2\n---\n", "# top\n\n"])
    return head + "".join(made) + dice.choice(["", "", "", "...\n", "# end\n", "\n\n"])

"""Wrong params.yaml and scenes.yaml, drawn by hypothesis: no YAML at all, and sound files with something changed.

A case drawn here may by chance be sound; then it must be accepted. What is written out here, and what `known_wrong`
makes, never is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import yaml
from hypothesis import strategies as st

DEEP = 3000  # brackets within brackets: deeper than Python's stack
LAUGHS = 12  # levels of aliases, nine of each in the next: 9¹² values
NOBODY = "nobody"  # a key that no section has
OVERFLOWING = "9" * 400

LAUGHTER = "\n".join(
    ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, LAUGHS)] + [""]
)
MERGERS = "\n".join(
    ["a0: &a0 {k: x}"] + [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, LAUGHS)] + [""]
)
ENDLESS = (LAUGHTER.encode(), MERGERS.encode())  # for DVC, which walks through all that they stand for
NOT_YAML = [
    b"",
    b"\n\n",
    b"---\n",
    b"---\na: 1\n---\nb: 2\n",
    b"null\n",
    b"just a sentence\n",
    b"- a\n- b\n",
    b"42\n",
    b"\x00\x01\x02\xff\xfe",
    b"\xff\xfes\x00e\x00e\x00d\x00",
    b"\x89PNG\r\n\x1a\n",
    b"seed:\t0\n\tmethod: tiny\n",
    b"seed: [1, 2\n",
    b'seed: "\n',
    b"seed: 0\nseed: 1\n",
    b"? [a, b]\n: 1\n",
    b"{a: 1}: 2\n",
    b"seed: *nobody\n",
    b"seed: &me [*me]\n",
    b"&top\nseed: *top\n",
    b"<<: 5\n",
    b"seed: !!python/object/apply:os.system ['false']\n",
    b"seed: !!python/name:os.system\n",
    b"seed: !!binary '@@'\n",
    b"seed: !!timestamp 'never'\n",
    b"seed: !!int many\n",
    b"seed: !!float x\n",
    b"seed: !thing {a: 1}\n",
    b"seed: !!set {a, b}\n",
    b"seed: 2024-13-45\n",
    b"seed: 0o9\n",
    b"%YAML 9.9\n---\nseed: 0\n",
    b"%TAG ! x\n---\n!a b\n",
    b"1: 2\n",
    b"null: 2\n",
    b"true: 2\n",
    b".nan: 2\n",
    b"2024-01-01: 2\n",
    "söed: 0\n\u202eseed: 1\n\U0001f600: ☃\n".encode(),
    "\ufeffseed: 0\n".encode(),
    b"seed: '\\ud800'\n",
    b'seed: "\\ud800"\n',
    b"seed: \x07\n",
    f"seed: {OVERFLOWING}\n".encode(),
    b"seed: " + b"[" * DEEP + b"]" * DEEP + b"\n",
    b"{a: " * DEEP + b"1" + b"}" * DEEP + b"\n",
    b"- " * DEEP + b"x\n",
    f"seed: 0x{'f' * 5000}\n".encode(),
    b"seed: 1:30\n",
    b"seed: ~\n? 12\n: &a 1\nb: &a 2\n",
    *ENDLESS,
]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63), 10**400, -1, 0]),
    st.floats(),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 1e-320, -0.0]),
    st.text(max_size=8),
    st.sampled_from(["", " ", "tiny", "robot-arm", "1e-3", "~", "../..", "~nobody/x", "\x00", "a" * 5000, "☃", "\n"]),
    st.binary(max_size=4),
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=6), st.integers(), st.none(), st.booleans()), inner, max_size=3),
    ),
    max_leaves=6,
)


def paths(content: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where every value lies in a mapping of mappings."""
    if not isinstance(content, dict):
        return [prefix]
    below = [path for key, value in content.items() for path in paths(value, (*prefix, key))]
    return ([prefix] if prefix else []) + below


def known_wrong(sound: dict[str, Any], all_required: bool) -> list[bytes]:
    """Sound but for one value that nothing may have, one key that nobody knows or, where all are required, none."""
    wrong = []
    for path in paths(sound):
        *sections, key = path
        changes = [lambda section, key=key: section.update({key: {NOBODY: 1}})]
        changes += [lambda section, key=key: section.pop(key)] if all_required else []
        wrong += [_changed(sound, sections, change) for change in changes]
    mappings = {()} | {path[:-1] for path in paths(sound)}
    wrong += [_changed(sound, path, lambda section: section.update({NOBODY: {}})) for path in sorted(mappings)]
    return [yaml.safe_dump(content, sort_keys=False).encode() for content in wrong]


def _changed(sound: dict[str, Any], sections: Iterable[str], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A copy of the mapping, in which one section is changed."""
    content = section = copy.deepcopy(sound)
    for name in sections:
        section = section[name]
    change(section)
    return content


@st.composite
def spoiled(draw: st.DrawFn, sound: dict[str, Any]) -> bytes:
    """A sound file with one to three values replaced, keys removed, renamed or added, or given twice."""
    content = copy.deepcopy(sound)
    twice = False
    for _ in range(draw(st.integers(1, 3))):
        *sections, key = draw(st.sampled_from(paths(sound)))
        section = content
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section:
            continue
        match draw(st.sampled_from(["value", "value", "value", "remove", "rename", "add", "twice"])):
            case "value":
                section[key] = draw(VALUES)
            case "remove":
                del section[key]
            case "rename":
                section[draw(st.text(max_size=8))] = section.pop(key)
            case "add":
                section[draw(st.one_of(st.text(max_size=8), st.integers()))] = draw(VALUES)
            case "twice":
                twice = True
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=draw(st.booleans()))
    if twice:
        text += text.splitlines()[0] + "\n" if not text.startswith("{") else ""
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mangled(draw: st.DrawFn, sound: bytes) -> bytes:
    """The bytes of a sound file, cut short, or with some of them replaced, inserted or moved."""
    at = draw(st.integers(0, len(sound) - 1))
    telling = st.sampled_from([b"\t", b"\x00", b":", b"{", b"&a *a", b"|"])
    other = draw(st.one_of(st.binary(min_size=1, max_size=8), telling))
    return draw(
        st.sampled_from([sound[:at], sound[:at] + other + sound[at:], sound[:at] + other + sound[at + len(other) :]])
    )


def wrong_files(sound: bytes) -> st.SearchStrategy[bytes]:
    """Anything that may stand where a sound YAML file should."""
    content = yaml.safe_load(sound)
    return st.one_of(spoiled(content), spoiled(content), mangled(sound), st.binary(max_size=64))

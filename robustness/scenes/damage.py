"""Files of scenes with bytes changed, lost and added, and with other values in their JSON, by chance."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from robustness.scenes.changes import put
from robustness.scenes.judge import SOUND, Case
from robustness.scenes.truth import edit

LONGEST = 12  # bytes that are lost, added or doubled at once
SAMPLES = ("003.png", "000.png", "r_0.png")  # of pictures, masks and depth maps: one is as good as another
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 1e7, 1e300, -1e-300, 2**63, 10**400, float("nan"), float("inf"), "", " ", "a",
    ".", "..", "/", "images", "000.png", "images/002.png", "x" * 5000, "\0", "\n", "ü", "\ud800", [], [[]], [1, 2], {},
    {"a": 1}, [None] * 4, [[0, 0, 0, 0]] * 4, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
]  # fmt: skip


def cases(folders: dict[str, Path], seed: int, count: int) -> Iterator[Case]:
    """`count` damages of every file of every format, and twice as many of every JSON's values."""
    random_ = random.Random(seed)
    for form, folder in folders.items():
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            name = file.relative_to(folder).as_posix()
            if file.suffix == ".png" and file.name not in SAMPLES:
                continue
            for number in range(count):
                words, content = damaged(file.read_bytes(), random_)
                yield Case(f"{name} with {words} ({number})", form, put(name, content), must=SOUND)
            if file.suffix == ".json":
                yield from other_values(form, name, json.loads(file.read_text()), random_, 2 * count)


def damaged(content: bytes, random_: random.Random) -> tuple[str, bytes]:
    """What was done, and what is left."""
    at, length = random_.randrange(len(content)), random_.randint(1, LONGEST)
    some = bytes(random_.randrange(256) for _ in range(length))
    before, behind = content[:at], content[at:]
    match random_.randrange(6):
        case 0:
            bit = bytes([content[at] ^ 1 << random_.randrange(8)])
            return f"a bit flipped at {at}", before + bit + content[at + 1 :]
        case 1:
            return f"all lost from {at} on", before
        case 2:
            return f"{length} bytes added at {at}", before + some + behind
        case 3:
            return f"{length} bytes changed at {at}", before + some + content[at + length :]
        case 4:
            return f"{length} bytes lost at {at}", before + content[at + length :]
    return f"{length} bytes doubled at {at}", before + content[at : at + length] + behind


def other_values(form: str, name: str, content: Any, random_: random.Random, count: int) -> Iterator[Case]:
    """One to three values replaced, or their keys lost."""
    places = list(leaves(content))
    for number in range(count):
        other = copy.deepcopy(content)
        said = []
        for _ in range(random_.choice((1, 1, 1, 2, 3))):
            path, value = random_.choice(places), random_.choice(VALUES)
            if set_(other, path, value, lose=random_.random() < 0.1):
                said.append(f"{'.'.join(map(str, path))} = {str(value)[:12]!r}")
        change = lambda folder, other=other: edit(folder, lambda c: replaced(c, other), name)  # noqa: E731
        yield Case(f"{name}: {', '.join(said)} ({number})", form, change, must=SOUND)


def leaves(content: Any, path: tuple = ()) -> Iterator[tuple]:
    """Where values lie, and the lists and objects that hold them."""
    if path:
        yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key))


def set_(content: Any, path: tuple, value: Any, lose: bool) -> bool:
    """Whether the place was still there."""
    *above, key = path
    try:
        for each in above:
            content = content[each]
        content[key]  # whether it is there
        if lose:
            del content[key]
        else:
            content[key] = value
    except (KeyError, IndexError, TypeError):
        return False
    return True


def replaced(content: dict[str, Any], other: dict[str, Any]) -> None:
    content.clear()
    content.update(other)

"""How a file can be damaged: cut short, with bits flipped, or with something else in its place.

Damage must be refused, but for what leaves a sound file that says something else: another number, another name.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load, save

LENGTH_BYTES = 8  # of the little-endian number with which a .safetensors file begins: the length of its header
HUGE = 2**40
NOT_ONE = [b"", b"\x00", b"not a file of this kind\n", b"\x80\x04\x95.", b"PK\x03\x04", b"\xff" * 64, b"{}" * 500]


FREE_TEXT = ("scene", "version")  # keys of a header whose values may be anything


class Damage(NamedTuple):
    name: str
    content: bytes
    must_refuse: bool = True


def cut_short(content: bytes, random_: random.Random, count: int) -> Iterator[Damage]:
    """The first bytes alone: every length up to the header's first words, and others anywhere."""
    lengths = [*range(min(count // 2, len(content))), *(random_.randrange(len(content)) for _ in range(count // 2))]
    for length in sorted({*lengths, len(content) - 1}):
        yield Damage(f"cut to {length} bytes", content[:length])


def flipped(
    content: bytes,
    first: int,
    last: int,
    random_: random.Random,
    count: int,
    where: str,
    passable: Callable[[bytes, bytes], bool] = lambda sound, changed: False,
) -> Iterator[Damage]:
    """One bit flipped between two places, if there is any. `passable`: whether the file, so changed, may be sound."""
    for _ in range(count if last > first else 0):
        bit = random_.randrange(8 * first, 8 * last)
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield Damage(f"bit {bit} flipped, in {where}", bytes(changed), not passable(content, bytes(changed)))


def anything(sound: bytes, changed: bytes) -> bool:
    """Any bits are a number."""
    return True


def another_number(sound: bytes, changed: bytes) -> bool:
    """Only digits changed, and to digits."""
    return all(chr(a).isdigit() and chr(b).isdigit() for a, b in zip(sound, changed, strict=True) if a != b)


def another_text(sound: bytes, changed: bytes) -> bool:
    """JSON that says other numbers, or other words where any will do, under the same keys."""
    try:
        return alike(json.loads(sound), json.loads(changed))
    except ValueError:
        return False


def another_header(sound: bytes, changed: bytes) -> bool:
    """The header of .safetensors: its table of tensors the same, and its metadata as `another_text`."""
    try:
        (table, text), (other_table, other_text) = (_table_and_text(content) for content in (sound, changed))
    except (ValueError, AttributeError):
        return False
    return table == other_table and another_text(text, other_text)


def _table_and_text(content: bytes) -> tuple[dict[str, Any], bytes]:
    table = header_of(content)
    [text] = table.pop("__metadata__").values()
    return table, text.encode()


def alike(sound: Any, other: Any, key: str = "") -> bool:
    """Whether two JSON values differ in numbers and free text alone."""
    if isinstance(sound, dict) and isinstance(other, dict):
        return list(sound) == list(other) and all(alike(sound[name], other[name], name) for name in sound)
    if isinstance(sound, list) and isinstance(other, list):
        return len(sound) == len(other) and all(alike(a, b) for a, b in zip(sound, other, strict=True))
    if isinstance(sound, str) and isinstance(other, str):
        return sound == other or key in FREE_TEXT
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (sound, other))
    return numbers or sound is other


def replaced() -> Iterator[Damage]:
    for content in NOT_ONE:
        yield Damage(f"{content[:12]!r} in its place", content)


def damaged_safetensors(content: bytes, random_: random.Random, count: int) -> Iterator[Damage]:
    """About `count` times each: cut short, flipped in the length, in the header and in the tensors; and replaced."""
    header = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    yield from replaced()
    yield from cut_short(content, random_, count)
    yield from flipped(content, 0, LENGTH_BYTES, random_, count, "the header's length")
    yield from flipped(content, LENGTH_BYTES, header, random_, count, "the header", another_header)
    yield from flipped(content, header, len(content), random_, count, "the tensors", anything)
    yield Damage("longer than it says", content + b"\x00")
    for size in (0, header, HUGE, 2**63, 2**64 - 1):
        longer = size.to_bytes(LENGTH_BYTES, "little") + content[LENGTH_BYTES:]
        yield Damage(f"a header said to have {size} bytes", longer)


def header_of(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    return json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])


def metadata_of(content: bytes) -> dict[str, str]:
    return header_of(content)["__metadata__"]


def other_tensors(content: bytes) -> Iterator[Damage]:
    """Whole files with tensors that do not fit."""
    tensors, metadata = load(content), metadata_of(content)
    first = next(name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.dim() > 1)
    sound = tensors[first]
    for dtype in (torch.float16, torch.float64, torch.bfloat16, torch.int32, torch.bool):
        yield Damage(f"{first} as {dtype}", save({**tensors, first: sound.to(dtype)}, metadata))
    shapes: list[tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = [
        ("one row short", lambda tensor: tensor[1:].contiguous()),
        ("flat", lambda tensor: tensor.reshape(-1).clone()),
        ("with one more dimension", lambda tensor: tensor[None].clone()),
        ("empty", lambda tensor: tensor[:0].clone()),
        ("a single number", lambda tensor: tensor.flatten()[0].clone()),
    ]
    for words, change in shapes:
        if change(sound).shape != sound.shape:
            yield Damage(f"{first} {words}", save({**tensors, first: change(sound)}, metadata))
    for value in (float("nan"), float("inf"), -float("inf")):
        spoiled = sound.clone()
        spoiled.view(-1)[0] = value
        yield Damage(f"{first} with {value}", save({**tensors, first: spoiled}, metadata))
    for name in tensors:
        yield Damage(f"without {name}", save({other: tensors[other] for other in tensors if other != name}, metadata))
        renamed = {f"{other}2" if other == name else other: tensors[other] for other in tensors}
        yield Damage(f"{name} under another name", save(renamed, metadata))
    yield Damage("with one more tensor", save({**tensors, "more": torch.zeros(2)}, metadata))
    yield Damage("with one of an odd name", save({**tensors, "a\nb" * 200: torch.zeros(2)}, metadata))
    yield Damage("without tensors", save({}, metadata))


def damaged_array(file: Path, random_: random.Random, count: int) -> Iterator[Damage]:
    """A .npy file, cut short, flipped in its header, replaced, or of another type or shape."""
    content = file.read_bytes()
    array = np.load(file)
    header = len(content) - array.nbytes
    with np.errstate(invalid="ignore"):  # infinite depths have no byte
        signed = array.astype(np.int8)
    yield from replaced()
    yield from cut_short(content, random_, count)
    yield from flipped(content, 0, header, random_, count, "the header", another_number)
    yield from flipped(content, header, len(content), random_, count // 2, "the numbers", anything)
    for words, other in (
        ("of doubles", array.astype(np.float64)),
        ("of signed bytes", signed),
        ("flat", array.reshape(-1) if array.ndim > 1 else array.reshape(-1, 1)),
        ("of objects", np.array([{}], dtype=object)),
        ("in Fortran's order and one row short", np.asfortranarray(array[1:]).astype(">f4")),
    ):
        temporary = file.with_name("other.npy")
        np.save(temporary, other, allow_pickle=True)
        yield Damage(words, temporary.read_bytes())
        temporary.unlink()
    yield Damage("said to be huge", content.replace(b"(", b"(9" * 9, 1) if b"(" in content[:header] else content[:-1])

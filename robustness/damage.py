"""How a file can be damaged: cut short, with bits flipped, or with something else in its place."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save

LENGTH_BYTES = 8  # of the little-endian number with which a .safetensors file begins: the length of its header
HUGE = 2**40
NOT_ONE = [b"", b"\x00", b"not a file of this kind\n", b"\x80\x04\x95.", b"PK\x03\x04", b"\xff" * 64, b"{}" * 500]


def cut_short(content: bytes, random_: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """The first bytes alone: every length up to the header's first words, and others anywhere."""
    lengths = [*range(min(count // 2, len(content))), *(random_.randrange(len(content)) for _ in range(count // 2))]
    for length in sorted({*lengths, len(content) - 1}):
        yield f"cut to {length} bytes", content[:length]


def flipped(
    content: bytes, first: int, last: int, random_: random.Random, count: int, where: str
) -> Iterator[tuple[str, bytes]]:
    """One bit flipped between two places."""
    for _ in range(count):
        bit = random_.randrange(8 * first, 8 * last)
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} flipped, in {where}", bytes(changed)


def replaced() -> Iterator[tuple[str, bytes]]:
    for content in NOT_ONE:
        yield f"{content[:12]!r} in its place", content


def damaged_safetensors(content: bytes, random_: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """About `count` times each: cut short, flipped in the length, in the header and in the tensors; and replaced."""
    header = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    yield from replaced()
    yield from cut_short(content, random_, count)
    yield from flipped(content, 0, LENGTH_BYTES, random_, count, "the header's length")
    yield from flipped(content, LENGTH_BYTES, header, random_, count, "the header")
    yield from flipped(content, header, len(content), random_, count, "the tensors")
    yield from [("longer than it says", content + b"\x00")]
    for size in (0, header, HUGE, 2**63, 2**64 - 1):
        yield f"a header said to have {size} bytes", size.to_bytes(LENGTH_BYTES, "little") + content[LENGTH_BYTES:]


def metadata_of(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    return json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])["__metadata__"]


def other_tensors(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Whole files with tensors that do not fit."""
    tensors, metadata = load(content), metadata_of(content)
    first = next(name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.dim() > 1)
    sound = tensors[first]
    for dtype in (torch.float16, torch.float64, torch.bfloat16, torch.int32, torch.bool):
        yield f"{first} as {dtype}", save({**tensors, first: sound.to(dtype)}, metadata)
    shapes: list[tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = [
        ("one row short", lambda tensor: tensor[1:].contiguous()),
        ("flat", lambda tensor: tensor.reshape(-1).clone()),
        ("with one more dimension", lambda tensor: tensor[None].clone()),
        ("empty", lambda tensor: tensor[:0].clone()),
        ("a single number", lambda tensor: tensor.flatten()[0].clone()),
    ]
    for words, change in shapes:
        if change(sound).shape != sound.shape:
            yield f"{first} {words}", save({**tensors, first: change(sound)}, metadata)
    for value in (float("nan"), float("inf"), -float("inf")):
        spoiled = sound.clone()
        spoiled.view(-1)[0] = value
        yield f"{first} with {value}", save({**tensors, first: spoiled}, metadata)
    for name in tensors:
        yield f"without {name}", save({other: tensors[other] for other in tensors if other != name}, metadata)
        renamed = {f"{other}2" if other == name else other: tensors[other] for other in tensors}
        yield f"{name} under another name", save(renamed, metadata)
    yield "with one more tensor", save({**tensors, "more": torch.zeros(2)}, metadata)
    yield "with one of an odd name", save({**tensors, "a\nb" * 200: torch.zeros(2)}, metadata)
    yield "without tensors", save({}, metadata)


def damaged_array(file: Path, random_: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """A .npy file, cut short, flipped in its header, replaced, or of another type or shape."""
    content = file.read_bytes()
    array = np.load(file)
    header = len(content) - array.nbytes
    with np.errstate(invalid="ignore"):  # infinite depths have no byte
        signed = array.astype(np.int8)
    yield from replaced()
    yield from cut_short(content, random_, count)
    yield from flipped(content, 0, header, random_, count, "the header")
    yield from flipped(content, header, len(content), random_, count // 2, "the numbers")
    for words, other in (
        ("of doubles", array.astype(np.float64)),
        ("of signed bytes", signed),
        ("flat", array.reshape(-1) if array.ndim > 1 else array.reshape(-1, 1)),
        ("of objects", np.array([{}], dtype=object)),
        ("in Fortran's order and one row short", np.asfortranarray(array[1:]).astype(">f4")),
    ):
        temporary = file.with_name("other.npy")
        np.save(temporary, other, allow_pickle=True)
        yield words, temporary.read_bytes()
        temporary.unlink()
    yield "said to be huge", content.replace(b"(", b"(9" * 9, 1) if b"(" in content[:header] else content[:-1]

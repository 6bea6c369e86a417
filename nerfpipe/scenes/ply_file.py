"""Points out of a .ply file: its vertices, and nothing that it may name besides."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerfpipe.geometry.similarity import FARTHEST
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

LONGEST_HEADER = 2**16  # bytes
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
AXES = ("x", "y", "z")

Property = tuple[str, str, str]  # its name, its kind of number, and that of its length where it is a list


def read_points(file: Path) -> np.ndarray:
    """[P, 3] float64, those that are finite. Raises NerfpipeError when the file is missing, damaged or holds none."""
    try:
        with open_regular(file) as stream:
            points = _vertices(stream, file.stat().st_size)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; correct ply_file_path, or remove it") from None
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise NerfpipeError(f"{file}: not a readable .ply file ({' '.join(str(error).split())[:80]})") from None
    points = points[(np.abs(points) <= FARTHEST).all(axis=1)]  # NaN is not either
    if not len(points):
        raise NerfpipeError(f"{file}: holds no points; correct ply_file_path, or remove it")
    return points


def _vertices(stream: BinaryIO, size: int) -> np.ndarray:
    """[P, 3] of the element `vertex`, which may have no lists; what stands behind it is not read."""
    order, elements = _header(stream)
    for name, count, properties in elements[:-1]:
        _skip(stream, order, name, count, properties, size)
    name, count, properties = elements[-1]
    if any(lengths for _, _, lengths in properties):
        raise ValueError("lists in the element vertex")
    if order == "":
        rows = _text_rows(stream, count, len(properties), size)
    else:
        kinds = np.dtype([(each, order + kind) for each, kind, _ in properties])
        _refuse_more(name, count * kinds.itemsize, count, size)
        rows = np.frombuffer(stream.read(count * kinds.itemsize), kinds, count)
    names = [each for each, _, _ in properties]
    columns = [rows[:, names.index(axis)] if order == "" else rows[axis] for axis in AXES]
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def _skip(stream: BinaryIO, order: str, name: str, count: int, properties: list[Property], size: int) -> None:
    """Read over an element before the vertices: a row at a time, since its lists have lengths of their own."""
    _refuse_more(name, count, count, size)  # a row has a byte at least
    for _ in range(count):
        if order == "":
            stream.readline(LONGEST_HEADER)
            continue
        for _, kind, lengths in properties:
            number = (
                int(np.frombuffer(stream.read(np.dtype(lengths).itemsize), order + lengths, 1)[0]) if lengths else 1
            )
            width = np.dtype(kind).itemsize
            if not 0 <= number * width <= size:
                raise ValueError(f"a list of {number} in a file of {size} bytes")
            stream.seek(number * width, os.SEEK_CUR)


def _refuse_more(name: str, needed: int, count: int, size: int) -> None:
    if needed > size:
        raise ValueError(f"{count} of {name} in a file of {size} bytes")


def _header(stream: BinaryIO) -> tuple[str, list[tuple[str, int, list[Property]]]]:
    """The byte order, empty for text, and the elements up to the vertices: name, count, properties."""
    order, elements, read = None, [], 0
    if stream.readline(LONGEST_HEADER).strip() != b"ply":
        raise ValueError("it does not begin with `ply`")
    while read < LONGEST_HEADER:
        line = stream.readline(LONGEST_HEADER)
        read += len(line) + 1
        words = line.decode("ascii", "replace").split()
        match words:
            case ["format", kind, *_]:
                order = ORDERS[kind]
            case ["element", name, count]:
                if not re.fullmatch(r"\d{1,15}", count):
                    raise ValueError(f"the element {name} with a count of {count:.20}")
                elements.append((name, int(count), []))
            case ["property", "list", lengths, kind, name]:
                elements[-1][2].append((name, TYPES[kind], TYPES[lengths]))
            case ["property", kind, name]:
                elements[-1][2].append((name, TYPES[kind], ""))
            case ["end_header"]:
                if order is None:
                    raise ValueError("no format")
                last = next((n for n, (name, *_) in enumerate(elements) if name == "vertex"), None)
                if last is None or not set(AXES) <= {name for name, *_ in elements[last][2]}:
                    raise ValueError("no vertices with x, y and z")
                return order, elements[: last + 1]
    raise ValueError("its header does not end")


def _text_rows(stream: BinaryIO, count: int, columns: int, size: int) -> np.ndarray:
    """[P, columns] of the next lines."""
    if count > size:
        raise ValueError(f"{count} lines in a file of {size} bytes")
    lines = [stream.readline(LONGEST_HEADER) for _ in range(count)]
    return np.array([[float(word) for word in line.split()[:columns]] for line in lines]).reshape(count, columns)

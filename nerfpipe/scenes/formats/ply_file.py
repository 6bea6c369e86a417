"""Points from a .ply file: the coordinates of its vertices."""

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

Property = tuple[str, str, str]  # name, type, and the type of its length if it is a list
Element = tuple[str, int, list[Property]]  # name, count, properties


def read_points(file: Path) -> np.ndarray:
    """The finite points [P, 3], float64. Raises NerfpipeError if the file is missing or damaged, or has none."""
    try:
        with open_regular(file) as stream:
            points = _vertices(stream, file.stat().st_size)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; correct ply_file_path, or remove it") from None
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise NerfpipeError(f"{file}: not a readable .ply file ({' '.join(str(error).split())[:80]})") from None
    points = points[(np.abs(points) <= FARTHEST).all(axis=1)]  # False for NaN
    if not len(points):
        raise NerfpipeError(f"{file}: holds no points; correct ply_file_path, or remove it")
    return points


def _vertices(stream: BinaryIO, size: int) -> np.ndarray:
    """The points [P, 3] of the element `vertex`, which must not have lists; later elements are not read."""
    order, elements = _header(stream)
    for name, count, properties in elements[:-1]:
        _skip(stream, order, name, count, properties, size)
    name, count, properties = elements[-1]
    if any(lengths for _, _, lengths in properties):
        raise ValueError("lists in the element vertex")
    if order == "":
        rows = _text_rows(stream, count, len(properties), size)
    else:
        row = np.dtype([(property_name, order + kind) for property_name, kind, _ in properties])
        _refuse_more(name, count * row.itemsize, count, size)
        rows = np.frombuffer(stream.read(count * row.itemsize), row, count)
    names = [property_name for property_name, _, _ in properties]
    columns = [rows[:, names.index(axis)] if order == "" else rows[axis] for axis in AXES]
    return np.stack([column.astype(np.float64) for column in columns], axis=1)


def _skip(stream: BinaryIO, order: str, name: str, count: int, properties: list[Property], size: int) -> None:
    """Skip an element before the vertices, row by row, since lists differ in length."""
    _refuse_more(name, count, count, size)  # a row has at least one byte
    for _ in range(count):
        if order == "":
            stream.readline(LONGEST_HEADER)
            continue
        for _, kind, lengths in properties:
            length = 1
            if lengths:
                length = int(np.frombuffer(stream.read(np.dtype(lengths).itemsize), order + lengths, 1)[0])
            width = np.dtype(kind).itemsize
            if not 0 <= length * width <= size:
                raise ValueError(f"a list of {length} in a file of {size} bytes")
            stream.seek(length * width, os.SEEK_CUR)


def _refuse_more(name: str, needed: int, count: int, size: int) -> None:
    """Raise ValueError if an element needs more bytes than the file has."""
    if needed > size:
        raise ValueError(f"{count} of {name} in a file of {size} bytes")


def _header(stream: BinaryIO) -> tuple[str, list[Element]]:
    """The byte order, empty for text, and the elements up to the vertices."""
    order: str | None = None
    elements: list[Element] = []
    read = 0
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
    """The first `columns` values of the next `count` lines, [count, columns]."""
    if count > size:
        raise ValueError(f"{count} lines in a file of {size} bytes")
    lines = [stream.readline(LONGEST_HEADER) for _ in range(count)]
    return np.array([[float(word) for word in line.split()[:columns]] for line in lines]).reshape(count, columns)

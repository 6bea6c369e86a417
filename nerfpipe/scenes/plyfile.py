"""Points out of a .ply file: its vertices, and nothing that it may name besides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nerfpipe.errors import NerfpipeError
from nerfpipe.files import open_regular

LONGEST_HEADER = 2**16  # bytes
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
AXES = ("x", "y", "z")


def read_points(file: Path) -> np.ndarray:
    """[P, 3] float64, those that are finite. Raises NerfpipeError when the file is missing, damaged or holds none."""
    try:
        with open_regular(file) as stream:
            points = _vertices(stream, file.stat().st_size)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; correct ply_file_path, or remove it") from None
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise NerfpipeError(f"{file}: not a readable .ply file ({' '.join(str(error).split())[:80]})") from None
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise NerfpipeError(f"{file}: holds no points; correct ply_file_path, or remove it")
    return points


def _vertices(stream: BinaryIO, size: int) -> np.ndarray:
    """[P, 3] of the element `vertex`; what stands before it may have no lists, and what stands behind is not read."""
    order, elements = _header(stream)
    for name, count, properties in elements:
        if any(kind is None for _, kind in properties):
            raise ValueError(f"lists in the element {name}, at or before the vertices")
        if order == "":
            rows = _text_rows(stream, count, len(properties), size)
        else:
            kinds = np.dtype([(each, order + str(kind)) for each, kind in properties])
            if count * kinds.itemsize > size:
                raise ValueError(f"{count} of {name} in a file of {size} bytes")
            rows = np.frombuffer(stream.read(count * kinds.itemsize), kinds, count)
        if name == "vertex":
            names = [each for each, _ in properties]
            columns = [rows[:, names.index(axis)] if order == "" else rows[axis] for axis in AXES]
            return np.stack([column.astype(np.float64) for column in columns], axis=1)
    raise ValueError("no vertices")


def _header(stream: BinaryIO) -> tuple[str, list[tuple[str, int, list[tuple[str, str | None]]]]]:
    """The byte order, empty for text, and the elements up to the vertices: name, count, properties; None is a list."""
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
            case ["property", "list", *_]:
                elements[-1][2].append((words[-1], None))
            case ["property", kind, name]:
                elements[-1][2].append((name, TYPES[kind]))
            case ["end_header"]:
                if order is None:
                    raise ValueError("no format")
                last = next((n for n, (name, *_) in enumerate(elements) if name == "vertex"), None)
                if last is None or not set(AXES) <= {name for name, _ in elements[last][2]}:
                    raise ValueError("no vertices with x, y and z")
                return order, elements[: last + 1]
    raise ValueError("its header does not end")


def _text_rows(stream: BinaryIO, count: int, columns: int, size: int) -> np.ndarray:
    """[P, columns] of the next lines."""
    if count > size:
        raise ValueError(f"{count} lines in a file of {size} bytes")
    lines = [stream.readline(LONGEST_HEADER) for _ in range(count)]
    return np.array([[float(word) for word in line.split()[:columns]] for line in lines]).reshape(count, columns)

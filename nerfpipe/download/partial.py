"""An unfinished download, and the check that a response continues it. All sizes are in bytes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular, write_json

ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]{0,500}"')  # by HTTP's grammar; others cannot be sent back
DATE = re.compile(r"[\x20-\x7e]{1,100}")
WHOLE_NUMBER = re.compile(r"\d{1,18}", re.ASCII)  # longer ones are no sizes


@dataclass(frozen=True)
class Version:
    """A server's data on a file by which two versions of it can be distinguished."""

    etag: str | None = None
    modified: str | None = None
    encoding: str = "identity"  # Content-Encoding
    total: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], total: int | None) -> Version:
        """The version in response headers; `total`: the file's size."""
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return cls(
            etag if ETAG.fullmatch(etag) else None,
            modified if DATE.fullmatch(modified) else None,
            headers.get("Content-Encoding", "identity").lower()[:100],
            total,
        )

    @property
    def validator(self) -> str | None:
        """The value for If-Range, which allows no weak ETag (W/"…")."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def fault(self, begun: Version) -> str | None:
        """Why this version is not the one begun; None where it may be."""
        if None not in (self.total, begun.total) and self.total != begun.total:
            return f"has {self.total} bytes now, and had {begun.total}"
        named = begun.etag is not None and begun.etag == begun.validator  # HTTP requires it in every partial response
        if self.etag != begun.etag and (named or None not in (self.etag, begun.etag)):
            return "is another version now, or does not say which"
        if None not in (self.modified, begun.modified) and self.modified != begun.modified:
            return "has changed since"
        return "comes in another encoding now" if self.encoding != begun.encoding else None


class Partial:
    """The bytes of an unfinished download, beside its destination, with a note on their source."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f"{destination.name}.part")
        self._note = destination.with_name(f"{destination.name}.part.json")

    @property
    def size(self) -> int:
        """The number of bytes received."""
        return self.path.stat().st_size if self.path.exists() else 0

    def clear(self) -> None:
        """Remove the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def begin(self, url: str, version: Version) -> None:
        """Empty the partial and note the version of the file that it will hold."""
        self.path.write_bytes(b"")
        write_json(self._note, {"address": _digest(url), **asdict(version)}, private=True)

    def begun(self, url: str) -> Version | None:
        """The version of the bytes, if they came from this address."""
        try:
            with open_regular(self._note) as file:
                note = json.load(file)
            if note.pop("address") != _digest(url):
                return None
            return Version(**note)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, NerfpipeError):
            return None

    def move_to(self, destination: Path) -> None:
        """Make the bytes the finished file."""
        os.replace(self.path, destination)
        self.clear()


def _digest(url: str) -> str:
    """The hash that stands for an address in a note: the address itself may hold a password."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def whole_number(text: str) -> int | None:
    """The whole number in a header; None where it is none."""
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None

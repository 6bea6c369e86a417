"""An unfinished download, and whether what a server sends continues it. All sizes are in bytes."""

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

ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]{0,500}"')  # as HTTP has it; others cannot be sent back
DATE = re.compile(r"[\x20-\x7e]{1,100}")
WHOLE_NUMBER = re.compile(r"\d{1,18}", re.ASCII)  # longer ones are no size, and Python refuses the longest


@dataclass(frozen=True)
class Version:
    """What a server says of the file that it sends, by which two versions of it can be told apart."""

    etag: str | None = None
    modified: str | None = None
    encoding: str = "identity"  # Content-Encoding: what is sent is then the file in another form
    total: int | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], total: int | None) -> Version:
        etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
        return cls(
            etag if ETAG.fullmatch(etag) else None,
            modified if DATE.fullmatch(modified) else None,
            headers.get("Content-Encoding", "identity").lower()[:100],
            total,
        )

    @property
    def validator(self) -> str | None:
        """What If-Range may be given; a weak name (W/"…") may not."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def fault(self, begun: Version) -> str | None:
        """Why the rest of this version is none of the one begun, as far as one can see; None where it may be."""
        if None not in (self.total, begun.total) and self.total != begun.total:
            return f"has {self.total} bytes by now, where it had {begun.total}"
        named = begun.etag is not None and begun.etag == begun.validator  # HTTP asks for it again with every part
        if self.etag != begun.etag and (named or None not in (self.etag, begun.etag)):
            return "is another version by now, or does not say which"
        if None not in (self.modified, begun.modified) and self.modified != begun.modified:
            return "has changed since"
        return "comes in another encoding by now" if self.encoding != begun.encoding else None


class Partial:
    """What an unfinished download got so far, beside its destination, with a note of where it came from."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f"{destination.name}.part")
        self._note = destination.with_name(f"{destination.name}.part.json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def begin(self, url: str, version: Version) -> None:
        """Empty the partial and note which version of the file it is to hold."""
        self.path.write_bytes(b"")
        write_json(self._note, {"address": _digest(url), **asdict(version)}, private=True)

    def begun(self, url: str) -> Version | None:
        """The version that the bytes are of, if this address gave them."""
        try:
            with open_regular(self._note) as file:
                note = json.load(file)
            if note.pop("address") != _digest(url):
                return None
            return Version(**note)
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, NerfpipeError):
            return None

    def move_to(self, destination: Path) -> None:
        os.replace(self.path, destination)
        self.clear()


def _digest(url: str) -> str:
    """What tells addresses apart in a note: an address itself may hold a password."""
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def whole_number(text: str) -> int | None:
    return int(text) if WHOLE_NUMBER.fullmatch(text) else None

"""Names and values of a settings file in one line of a message."""

from __future__ import annotations

import reprlib
from typing import Any

from nerfpipe.runtime.addresses import without_secrets


class _Brief(reprlib.Repr):
    """Short forms of values for faults: a few YAML aliases can stand for more values than memory holds."""

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # of thousands of digits, which Python converts from hexadecimal but does not print
            return "a number of thousands of digits"

    def repr_str(self, x: str, level: int) -> str:
        """Without the secrets of an address, which could not be recognised once it is cut."""
        return super().repr_str(without_secrets(x), level)


_shown = _Brief()
_shown.maxlevel, _shown.maxstring, _shown.maxother = 2, 100, 100
brief = _shown.repr


def plain(name: Any) -> str:
    """A key for use in a line: quoted and shortened if it is not printable or too long."""
    text = name if isinstance(name, str) else brief(name)
    return text if text.isprintable() and 0 < len(text) <= _shown.maxstring else brief(text)

"""Addresses without the passwords and tokens in them, as the program shows and stores them."""

from __future__ import annotations

import re

HIDDEN = "…"  # replaces what may be a password
# scheme, host with user and password, path; then query, fragment and parameters, which hold tokens and signatures.
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*:)?([/\\]{2,})?([^/\\?#;]*)([^?#;]*)(.*)", re.IGNORECASE | re.DOTALL)
HOST = re.compile(r"\[[^\[\]]*\](:\d*)?|[^:]*(:\d*)?")  # anything else with a colon is a user and a password
IN_A_TEXT = re.compile(r"([a-z][a-z0-9+.-]*:[/\\]{2,}\S*?)(['\")\],:;.]*)(?=\s|$)", re.IGNORECASE)


def presentable(url: str) -> str:
    """Scheme, host, port and path of an address. Of other text, all that may precede an `@` is hidden."""
    parts = ADDRESS.fullmatch(url)
    assert parts is not None  # every part of the pattern is optional
    scheme, slashes, host, path, rest = (part or "" for part in parts.groups())
    if not slashes and "@" in url:
        return f"{scheme}{HIDDEN}"
    host = host.rpartition("@")[2]
    if not HOST.fullmatch(host) or ("@" in rest and not path):
        return f"{scheme}{slashes}{HIDDEN}"  # a password with a / or a # in it: its end is unknown
    return f"{scheme}{slashes}{host}{path}"


def without_secrets(text: str) -> str:
    """A text with every address in it made presentable."""
    return IN_A_TEXT.sub(lambda found: presentable(found[1]) + found[2], text)

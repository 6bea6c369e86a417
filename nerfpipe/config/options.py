"""Checks of command-line options before anything is loaded: one line per fault, and no file replaced unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from nerfpipe.config.yaml_file import Section, validate
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular

Options = TypeVar("Options", bound=Section)


def checked(section: type[Options], **given: Any) -> Options:
    """The options given, validated. Raises NerfpipeError with one line per fault."""
    found, faults = validate(section, given)
    if found is None:
        raise NerfpipeError(*(f"--{fault}" for fault in faults))
    return found


def check_free(path: Path, force: bool) -> None:
    """Raise NerfpipeError where the file to write is a folder, or exists and `force` is not given."""
    if path.is_dir():
        raise NerfpipeError(f"{path}: is a folder; name a file with --output")
    refuse_irregular(path)
    if path.exists() and not force:
        raise NerfpipeError(f"{path}: is there already; name another file with --output, or say --force")

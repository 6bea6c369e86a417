"""Files of the workspace or of a git revision or experiment, read by their path in the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

WORKSPACE = "workspace"

Reader = Callable[[str], bytes]  # a path in the project -> its content; raises FileNotFoundError


def _read_from_workspace(path: str) -> bytes:
    with open_regular(Path(path)) as file:
        return file.read()


def open_source(name: str) -> Reader:
    """A reader of the workspace's files, or of a revision's: those in git and those in DVC's cache or remote.

    Raises NerfpipeError if git and DVC know no revision or experiment of this name.
    """
    if name == WORKSPACE:
        return _read_from_workspace
    from dvc.api import DVCFileSystem  # takes half a second, and the workspace needs no DVC
    from dvc.exceptions import DvcException

    try:
        files = DVCFileSystem(rev=name)
        files.repo  # opens it now, so that a wrong name fails here  # noqa: B018
    except DvcException as error:
        raise NerfpipeError(
            f"{name}: cannot be opened ({' '.join(str(error).split())}); "
            "`git log` names revisions, `dvc exp list -A` experiments"
        ) from None
    return files.read_bytes

"""Errors that a user can fix, and their printing in plain lines."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerfpipe.runtime.addresses import without_secrets
from nerfpipe.runtime.interrupt import INTERRUPTED
from nerfpipe.runtime.terminal import plain, say


class NerfpipeError(Exception):
    """A fault in the user's input or on the user's machine.

    Every argument is one line that names the file or key and the remedy. A line break within it comes from foreign
    data and is shown as `\\n`, as all control characters are; addresses lose their passwords and tokens.
    """

    def __init__(self, *lines: object) -> None:
        super().__init__(*(plain(without_secrets(str(line))) for line in lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """The faults, one line each."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(self.args)


def describe_os_error(error: OSError, path: Path | None = None) -> str:
    """One line for an operating-system error: the file (`path` if the error has none), the failure, the remedy."""
    file = error.filename or path
    prefix = f"{file}: " if file else ""
    if error.errno == errno.ENOSPC:
        return f"{prefix}no room left on the disk; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{prefix}not permitted ({error.strerror}); check who owns it and whether it is writable"
    if error.errno == errno.ENOENT:
        return f"{prefix}no such file or folder; has the stage that makes it run? (dvc repro)"
    return f"{prefix}{error.strerror or error}"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print errors that users can fix as plain lines and exit with 1; bugs keep their traceback."""
    try:
        yield
    except NerfpipeError as error:
        lines = error.lines
    except KeyboardInterrupt:
        lines = (INTERRUPTED,)
    except OSError as error:
        lines = (describe_os_error(error),)
    else:
        return
    for line in lines:
        say(f"error: {line}", aside=True)
    sys.exit(1)

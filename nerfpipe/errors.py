"""Errors that a user can mend, and the one place where they become a line on the terminal."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nerfpipe.interrupt import INTERRUPTED


class NerfpipeError(Exception):
    """A fault in the user's input or surroundings.

    Its text is one line (or one line per fault) that names the file or key and the remedy.
    """


def describe_os_error(error: OSError, path: Path | None = None) -> str:
    """One line for an operating-system error: what failed, on which file (`path` where it does not say), what to do."""
    file = error.filename or path
    where = f"{file}: " if file else ""
    if error.errno == errno.ENOSPC:
        return f"{where}no room left on the disk; free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}not permitted ({error.strerror}); check who owns it and whether it is writable"
    if error.errno == errno.ENOENT:
        return f"{where}no such file or folder; has the stage that makes it run? (dvc repro)"
    return f"{where}{error.strerror or error}"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print the errors that users can mend as plain lines and exit with 1; let bugs keep their traceback."""
    try:
        yield
    except NerfpipeError as error:
        message = str(error)
    except KeyboardInterrupt:
        message = INTERRUPTED
    except OSError as error:
        message = describe_os_error(error)
    else:
        return
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr, flush=True)
    sys.exit(1)

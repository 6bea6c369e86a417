"""The frame of every stage: errors as plain lines, and its seconds stored for the summary."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from nerfpipe.runtime.errors import NerfpipeError, one_line_errors
from nerfpipe.runtime.files import WORKSPACE, open_regular, write_json
from nerfpipe.runtime.interrupt import as_exceptions, too_late
from nerfpipe.runtime.terminal import tidy_output

TIMINGS_FILE = WORKSPACE / "timings.json"  # no out: outs must not depend on the clock


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Run a stage's work: errors that users can fix become plain lines and exit code 1."""
    started = time.monotonic()
    with tidy_output(), one_line_errors(), as_exceptions():
        yield
        write_json(TIMINGS_FILE, {**read_timings(), name: round(time.monotonic() - started, 1)})
    too_late()


def read_timings() -> dict[str, float]:
    """Seconds of each stage's last run in this workspace."""
    try:
        with open_regular(TIMINGS_FILE) as file:
            timings = json.load(file)
        return {str(name): float(seconds) for name, seconds in timings.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, NerfpipeError):
        return {}

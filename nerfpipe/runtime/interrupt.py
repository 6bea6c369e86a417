"""Ctrl-C and SIGTERM: a clean end with one line, and for long work a request to save and stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from nerfpipe.runtime.terminal import say

Handler = Callable[[int, FrameType | None], Any] | int | None  # as `signal.signal` takes and returns it

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = "interrupted; run the same command again to go on"


def end_at_once() -> None:
    """From now on a signal ends the process with one line: while modules are imported there is nothing to save."""
    for number in SIGNALS:
        signal.signal(number, _end)


def too_late() -> None:
    """From now on signals are ignored: the work is done, and only the interpreter is left to shut down."""
    for number in SIGNALS:
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        say(f"error: {INTERRUPTED}", aside=True)
    finally:
        os._exit(1)


@contextmanager
def as_exceptions() -> Iterator[None]:
    """In the block SIGTERM raises KeyboardInterrupt as Ctrl-C does, so that half-written files are removed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [(number, signal.signal(number, interrupt)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


class StopRequest:
    """As a context, turns the first SIGINT or SIGTERM into `requested`; the second acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

"""A progress bar on a terminal, plain lines elsewhere (queue logs, CI)."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from nerfpipe.runtime.terminal import plain, say

PLAIN_LINE_SECONDS = 10.0  # between two lines without a terminal


class Progress:
    """Counts work done. On a terminal a tqdm bar; elsewhere a line every few seconds, flushed.

    Use as a context manager; call `advance` after each part of the work. `unit_scale` counts in k, M, G.
    """

    def __init__(self, name: str, total: int | None, unit: str, start: int = 0, unit_scale: bool = False) -> None:
        self.name, self.total, self.unit, self.done = plain(name), total, unit, start
        self._notes = ""
        self._unit_scale = unit_scale
        self._started = self._last_line = time.monotonic()
        self._start = start
        self._bar = (
            tqdm(total=total, initial=start, desc=self.name, unit=unit, unit_scale=unit_scale, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None and time.monotonic() - self._started > PLAIN_LINE_SECONDS:
            self._print_line()

    def advance(self, amount: int = 1, notes: str | None = None) -> None:
        """Count `amount` more units done; `notes` replaces the text behind the numbers."""
        self.done += amount
        if notes is not None:
            self._notes = notes
        if self._bar is not None:
            if notes is not None:
                self._bar.set_postfix_str(plain(notes), refresh=False)
            self._bar.update(amount)
        elif time.monotonic() - self._last_line >= PLAIN_LINE_SECONDS:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        spent = self._last_line - self._started
        counted = f"{self._amount(self.done)}" + (f"/{self._amount(self.total)}" if self.total else "")
        parts = [f"{self.name}: {counted} {self.unit}", f"{spent:.0f} s"]
        worked = self.done - self._start
        if self.total and worked > 0 and self.done < self.total:
            parts.append(f"{spent * (self.total - self.done) / worked:.0f} s left")
        if self._notes:
            parts.append(self._notes)
        say(", ".join(parts), aside=True)

    def _amount(self, count: int) -> str:
        return tqdm.format_sizeof(count) if self._unit_scale else str(count)

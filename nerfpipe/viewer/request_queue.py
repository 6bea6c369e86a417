"""Who wants to see what: only the newest wish of each page counts, and whoever moves goes before whoever rests."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

SETTLE = 0.15  # seconds without a new wish after which a camera counts as at rest


@dataclass(frozen=True)
class Wish:
    """What is to be drawn next: level 0 is the picture while moving, higher ones are finer."""

    page: Hashable
    subject: Any  # what the page wants to see
    number: int  # of the page's wishes so far
    level: int


@dataclass
class _Page:
    subject: Any
    number: int
    since: float  # when the wish came
    level: int = 0  # to be drawn next
    done: bool = False  # nothing finer is left to draw
    served: float = 0.0


class Desk:
    """Takes wishes from any thread; one thread takes them to draw."""

    def __init__(self) -> None:
        self._pages: dict[Hashable, _Page] = {}
        self._changed = threading.Condition()
        self._number = 0

    def ask(self, page: Hashable, subject: Any, now: float | None = None) -> None:
        """Put a page's newest wish in the place of all its older ones."""
        with self._changed:
            self._put(page, subject, time.monotonic() if now is None else now)
            self._changed.notify_all()

    def ask_again(self) -> None:
        """Have all pages drawn anew: something that they all show has changed."""
        with self._changed:  # all the while: a newer camera must not be replaced, nor a closed page come back
            for page, state in list(self._pages.items()):
                self._put(page, state.subject, time.monotonic())
            self._changed.notify_all()

    def _put(self, page: Hashable, subject: Any, now: float) -> None:
        self._number += 1
        served = self._pages[page].served if page in self._pages else 0.0
        self._pages[page] = _Page(subject, self._number, now, served=served)

    def leave(self, page: Hashable) -> None:
        """The page is closed."""
        with self._changed:
            self._pages.pop(page, None)

    def take(self, now: float | None = None) -> Wish | None:
        """What to draw now: of the moving the one served longest ago, else the coarsest of those at rest; or None."""
        now = time.monotonic() if now is None else now
        with self._changed:
            ready = [
                (state.level, state.served, page)
                for page, state in self._pages.items()
                if not state.done and (state.level == 0 or now - state.since >= SETTLE)
            ]
            if not ready:
                return None
            _, _, page = min(ready, key=lambda entry: entry[:2])
            state = self._pages[page]
            state.served = now
            return Wish(page, state.subject, state.number, state.level)

    def stale(self, wish: Wish) -> bool:
        """Whether to drop work on a wish: it is replaced, its page is closed, or it is fine work and someone moves.

        A moving picture is always finished: while the camera moves there is always a newer wish, and none would show.
        """
        with self._changed:
            if wish.page not in self._pages:
                return True
            if wish.level == 0:
                return False
            mine = self._pages[wish.page].number == wish.number
            return not mine or any(state.level == 0 and not state.done for state in self._pages.values())

    def someone_moves(self) -> bool:
        """Whether a page waits for a moving picture."""
        with self._changed:
            return any(state.level == 0 and not state.done for state in self._pages.values())

    def finish(self, wish: Wish, last: bool) -> None:
        """A wish is drawn; last: nothing finer is to come."""
        with self._changed:
            state = self._pages.get(wish.page)
            if state is not None and state.number == wish.number:
                state.level, state.done = wish.level + 1, last

    def wait(self, timeout: float) -> None:
        """Sleep until a wish comes, a camera comes to rest, or the time is over."""
        with self._changed:
            now = time.monotonic()
            open_ = [state for state in self._pages.values() if not state.done]
            if any(state.level == 0 or now - state.since >= SETTLE for state in open_):
                return
            rest = [state.since + SETTLE - now for state in open_]
            self._changed.wait(max(0.001, min([timeout, *rest])))

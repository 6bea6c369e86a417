"""Requests of the pages: only the newest of each page counts, and moving cameras go before resting ones."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from nerfpipe.viewer.settings import View

SETTLE_SECONDS = 0.15  # without a new request, after which a camera counts as at rest
SHORTEST_WAIT = 0.001  # seconds

PageId = int  # viser's client_id


@dataclass(frozen=True)
class Request:
    """The next picture to render. Level 0 is the picture while the camera moves; higher levels are finer."""

    page: PageId
    view: View
    number: int  # serial number of the request, over all pages
    level: int


@dataclass
class _Page:
    view: View
    number: int
    since: float  # when the request came
    level: int = 0  # to be rendered next
    done: bool = False  # nothing finer is left to render
    served: float = 0.0  # when this page was last served


class RequestQueue:
    """Any thread may submit requests; one thread takes them. Times `now` are seconds of `time.monotonic`."""

    def __init__(self) -> None:
        self._pages: dict[PageId, _Page] = {}
        self._changed = threading.Condition()
        self._number = 0

    def submit(self, page: PageId, view: View, now: float | None = None) -> None:
        """Add a page's newest request. It replaces the older ones of that page."""
        with self._changed:
            self._put(page, view, time.monotonic() if now is None else now)
            self._changed.notify_all()

    def resubmit_all(self) -> None:
        """Have all pages rendered again, because something that they all show has changed."""
        with self._changed:  # for the whole loop: no newer camera may be replaced, no closed page come back
            for page, state in list(self._pages.items()):
                self._put(page, state.view, time.monotonic())
            self._changed.notify_all()

    def _put(self, page: PageId, view: View, now: float) -> None:
        self._number += 1
        served = self._pages[page].served if page in self._pages else 0.0
        self._pages[page] = _Page(view, self._number, now, served=served)

    def remove(self, page: PageId) -> None:
        """Forget a page that is closed."""
        with self._changed:
            self._pages.pop(page, None)

    def take(self, now: float | None = None) -> Request | None:
        """The request to render now, or None.

        The moving page that was served longest ago comes first; without one, the page at rest with the coarsest level.
        """
        now = time.monotonic() if now is None else now
        with self._changed:
            ready = [
                (state.level, state.served, page)
                for page, state in self._pages.items()
                if not state.done and (state.level == 0 or now - state.since >= SETTLE_SECONDS)
            ]
            if not ready:
                return None
            _, _, page = min(ready, key=lambda entry: entry[:2])
            state = self._pages[page]
            state.served = now
            return Request(page, state.view, state.number, state.level)

    def is_stale(self, request: Request) -> bool:
        """Whether to drop work on a request: its page is closed, or it is fine work and replaced or some page moves.

        A moving picture is always finished: while the camera moves, every request is soon replaced, and a page would
        never get a picture.
        """
        with self._changed:
            if request.page not in self._pages:
                return True
            if request.level == 0:
                return False
            return self._pages[request.page].number != request.number or self._any_moving()

    def any_moving(self) -> bool:
        """Whether a page waits for a moving picture."""
        with self._changed:
            return self._any_moving()

    def _any_moving(self) -> bool:
        return any(state.level == 0 and not state.done for state in self._pages.values())

    def finish(self, request: Request, last: bool) -> None:
        """Mark a request as rendered. last: no finer picture follows."""
        with self._changed:
            state = self._pages.get(request.page)
            if state is not None and state.number == request.number:
                state.level, state.done = request.level + 1, last

    def wait(self, timeout: float) -> None:
        """Sleep until a request comes, a camera comes to rest, or `timeout` seconds are over."""
        with self._changed:
            now = time.monotonic()
            pending = [state for state in self._pages.values() if not state.done]
            if any(state.level == 0 or now - state.since >= SETTLE_SECONDS for state in pending):
                return
            until_rest = [state.since + SETTLE_SECONDS - now for state in pending]
            self._changed.wait(max(SHORTEST_WAIT, min([timeout, *until_rest])))

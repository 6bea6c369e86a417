"""What a page may say: every message passes one table, and what is not in it, or not sound, is dropped."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from nerfpipe.viewer.settings import NARROWEST, WIDEST

Message = dict[str, Any]
Handles = Callable[[], dict[str, Any]]  # the controls that are there now, by their uuid

FARTHEST = 1e9  # scene units and pixels of a camera: scenes are of size 1, and more than that is no view
LARGEST = 16_384  # pixels of a page's side: screens have fewer
UNIT = 1e-6  # the least length of a quaternion that names a rotation
NAME = 4096  # characters of a text
UPLOAD = 2**24  # bytes of a file of key frames: ten thousand of them take a few megabytes
UPLOADS = 4 * UPLOAD  # of one page, as long as it is open
PART, PART_WITHIN = b"FileTransferPart", 64  # the kind stands at a message's beginning
PARTS = 1024  # of one upload
UPLOAD_NAME = "key_frames.json"  # whatever the page calls it


def number(value: Any, least: float = -FARTHEST, most: float = FARTHEST) -> bool:
    """Whether it is a finite number within bounds. Bools are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and number(value, least, most)


def numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(number(entry) for entry in value)


def text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= NAME


def camera(message: Message, _: Handles) -> bool:
    """A page's camera. A page with no picture (a window just made smaller) is as good as one of a pixel."""
    for side in ("image_width", "image_height"):
        if not number(message[side], 0, LARGEST):
            return False
        message[side] = max(1, int(message[side]))
    return (
        numbers(message["wxyz"], 4)
        and math.hypot(*message["wxyz"]) > UNIT
        and all(numbers(message[key], 3) for key in ("position", "look_at", "up_direction"))
        and number(message["fov"], NARROWEST, WIDEST)
        and number(message["near"], 0)
        and number(message["far"], 0)
    )


def update(message: Message, handles: Handles) -> bool:
    """A control that was used: of it only the value can change, and only to what it could be set to by hand."""
    handle, updates = handles().get(message["uuid"]), message["updates"]
    if handle is None or not isinstance(updates, dict) or set(updates) != {"value"}:
        return False
    current, value = handle._impl.value, updates["value"]
    options = getattr(handle, "options", None)
    if options is not None:
        return text(value) and value in options
    if isinstance(current, bool):
        return isinstance(value, bool)
    low, high = getattr(handle, "min", None), getattr(handle, "max", None)
    bounds = (-FARTHEST if low is None else low, FARTHEST if high is None else high)
    if isinstance(current, (int, float)):
        return number(value, *bounds)
    if isinstance(current, tuple):
        sound = isinstance(value, list) and len(value) == len(current) and all(number(v, *bounds) for v in value)
        return sound and value == sorted(value)
    return False


def click(message: Message, _: Handles) -> bool:
    message.pop("owner", None)
    return text(message["name"]) and (
        message.get("instance_index") is None or whole(message["instance_index"], 0, 10**6)
    )


def begin_upload(message: Message, handles: Handles) -> bool:
    message["filename"] = UPLOAD_NAME
    return (
        message["source_component_uuid"] in handles()
        and text(message["transfer_uuid"])
        and text(message["mime_type"])
        and whole(message["part_count"], 0, PARTS)
        and whole(message["size_bytes"], 0, UPLOAD)
    )


def part(message: Message, _: Handles) -> bool:
    content = message["content"]
    return (
        text(message["transfer_uuid"])
        and text(message["source_component_uuid"])
        and whole(message["part_index"], 0, PARTS)
        and isinstance(content, bytes)
        and len(content) <= UPLOAD
    )


CHECKS: dict[str, Callable[[Message, Handles], bool]] = {
    "ViewerCameraMessage": camera,
    "GuiUpdateMessage": update,
    "SceneNodeClickMessage": click,
    "FileTransferStartUpload": begin_upload,
    "FileTransferPart": part,
}


class Gate:
    """Lets sound messages through; the others are dropped without a word, as nobody's page sends them."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def passed(self, raw: Any) -> bytes | None:
        """The message as viser is to read it, or None."""
        try:
            message = msgspec.msgpack.decode(raw) if isinstance(raw, bytes) else None
            if isinstance(message, dict) and CHECKS[message["type"]](message, self._handles):
                return msgspec.msgpack.encode({"type": message["type"], **message})  # the kind first
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            pass  # not of the form that a page sends
        return None

    def reader(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bytes]]:
        """A connection's `recv` that returns sound messages only."""

        taken = 0  # bytes of uploads: what a page begins and never ends must not pile up

        async def read() -> bytes:
            nonlocal taken
            while True:
                raw = await receive()
                if (message := self.passed(raw)) is None:
                    continue
                taken += len(message) if PART in message[:PART_WITHIN] else 0
                if taken <= UPLOADS:
                    return message

        return read

"""Validation of a page's messages: kinds that are not in the table `CHECKS`, and unsound messages, are dropped."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from nerfpipe.viewer.settings import NARROWEST, WIDEST

Message = dict[str, Any]
Handles = Callable[[], dict[str, Any]]  # returns the current controls by their uuid

FARTHEST = 1e9  # largest absolute value of a number: scenes have a size of about 1
LARGEST = 16_384  # pixels of a page's side: screens have fewer
SHORTEST_QUATERNION = 1e-6  # the least length that defines a rotation
LONGEST_TEXT = 4096  # characters
UPLOAD = 2**24  # bytes of a file of key frames: ten thousand of them take a few megabytes
UPLOADS = 4 * UPLOAD  # bytes of all uploads of one page, as long as it is open
PART, PART_WITHIN = b"FileTransferPart", 64  # a kind, and the bytes at a message's beginning that contain it
PARTS = 1024  # of one upload
UPLOAD_NAME = "key_frames.json"  # replaces the name that the page sends
MOST_INSTANCES = 10**6  # of a scene node


def is_number(value: Any, least: float = -FARTHEST, most: float = FARTHEST) -> bool:
    """Whether a value is a finite number within bounds, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def is_integer(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and is_number(value, least, most)


def is_vector(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(is_number(entry) for entry in value)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_TEXT


def check_camera(message: Message, _: Handles) -> bool:
    """A page's camera. Sides are rounded to whole pixels, at least 1: a window just made smaller may send 0."""
    for side in ("image_width", "image_height"):
        if not is_number(message[side], 0, LARGEST):
            return False
        message[side] = max(1, int(message[side]))
    return (
        is_vector(message["wxyz"], 4)
        and math.hypot(*message["wxyz"]) > SHORTEST_QUATERNION
        and all(is_vector(message[key], 3) for key in ("position", "look_at", "up_direction"))
        and is_number(message["fov"], NARROWEST, WIDEST)
        and is_number(message["near"], 0)
        and is_number(message["far"], 0)
    )


def check_update(message: Message, handles: Handles) -> bool:
    """A changed control: only its value may change, and only to a value that a user could set."""
    handle, updates = handles().get(message["uuid"]), message["updates"]
    if handle is None or not isinstance(updates, dict) or set(updates) != {"value"}:
        return False
    current, value = handle._impl.value, updates["value"]
    options = getattr(handle, "options", None)
    if options is not None:
        return is_text(value) and value in options
    if isinstance(current, bool):
        return isinstance(value, bool)
    low, high = getattr(handle, "min", None), getattr(handle, "max", None)
    bounds = (-FARTHEST if low is None else low, FARTHEST if high is None else high)
    if isinstance(current, (int, float)):
        return is_number(value, *bounds)
    if isinstance(current, tuple):
        sound = isinstance(value, list) and len(value) == len(current) and all(is_number(v, *bounds) for v in value)
        return sound and value == sorted(value)
    return False


def check_click(message: Message, _: Handles) -> bool:
    """A click on a node of the scene."""
    message.pop("owner", None)
    return is_text(message["name"]) and (
        message.get("instance_index") is None or is_integer(message["instance_index"], 0, MOST_INSTANCES)
    )


def check_upload(message: Message, handles: Handles) -> bool:
    """The start of an upload. It gets a constant name."""
    message["filename"] = UPLOAD_NAME
    return (
        message["source_component_uuid"] in handles()
        and is_text(message["transfer_uuid"])
        and is_text(message["mime_type"])
        and is_integer(message["part_count"], 0, PARTS)
        and is_integer(message["size_bytes"], 0, UPLOAD)
    )


def check_part(message: Message, _: Handles) -> bool:
    """A part of an upload."""
    content = message["content"]
    return (
        is_text(message["transfer_uuid"])
        and is_text(message["source_component_uuid"])
        and is_integer(message["part_index"], 0, PARTS)
        and isinstance(content, bytes)
        and len(content) <= UPLOAD
    )


CHECKS: dict[str, Callable[[Message, Handles], bool]] = {
    "ViewerCameraMessage": check_camera,
    "GuiUpdateMessage": check_update,
    "SceneNodeClickMessage": check_click,
    "FileTransferStartUpload": check_upload,
    "FileTransferPart": check_part,
}


class MessageFilter:
    """Passes sound messages. Others are dropped silently: the viewer's own page sends none."""

    def __init__(self, handles: Handles) -> None:
        self._handles = handles

    def passed(self, raw: Any) -> bytes | None:
        """The message re-encoded for viser, or None if it is not sound."""
        try:
            message = msgspec.msgpack.decode(raw) if isinstance(raw, bytes) else None
            if isinstance(message, dict) and CHECKS[message["type"]](message, self._handles):
                return msgspec.msgpack.encode({"type": message["type"], **message})  # `reader` looks for the kind there
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            pass  # not in the form that a page sends
        return None

    def reader(self, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[bytes]]:
        """A connection's `recv` that returns sound messages only, and drops uploads beyond `UPLOADS` bytes in all."""

        uploaded = 0  # bytes; uploads that a page never ends must not fill the memory

        async def read() -> bytes:
            nonlocal uploaded
            while True:
                raw = await receive()
                if (message := self.passed(raw)) is None:
                    continue
                uploaded += len(message) if PART in message[:PART_WITHIN] else 0
                if uploaded <= UPLOADS:
                    return message

        return read

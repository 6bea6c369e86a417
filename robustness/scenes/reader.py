"""One scene read in a process of its own, as the stages read it, and what that took.

The process is ended where a case takes too long or too much, and begun anew. Of each case it says what came of it, its
seconds and its memory, and whether it started a program, unpickled anything, or opened what it should not.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE_SECONDS = 15  # for one case, on a machine that does other things besides
START_SECONDS = 120  # for the process to come up
ROOM_BYTES = 2**31  # that a case may ask for before its process is refused more
OUTSIDE = "outside"  # in the name of what lies out of a scene and must not be opened
SHOWN = 200  # characters of an error


@dataclass(frozen=True)
class Job:
    """What is to be read: a folder, and the keys of its entry in the catalogue."""

    data: Path
    keys: dict[str, Any] = field(default_factory=dict)
    bring: bool = True  # through the download stage; else the folder is read where it lies
    light: bool = False  # its pixels are written as by the stage `rays`, and not read back


@dataclass(frozen=True)
class Rays:
    """What was read, in the data's own coordinates: every view's camera, pose and pixels, and how they are divided."""

    cameras: list[dict[str, Any]]  # one for each view
    poses: np.ndarray  # [N, 3, 4]
    directions: list[np.ndarray]  # [H·W, 3] for each view, in camera space
    colours: list[np.ndarray]  # [H, W, 4] uint8
    masks: list[np.ndarray] | None  # [H, W] bool
    depths: dict[int, np.ndarray]  # [H, W], of the test views, NaN where it is unknown
    splits: dict[str, list[int]]
    points: np.ndarray | None
    near: float
    bounds: np.ndarray
    kind: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of it: rays, or what a refusal said, or what went wrong."""

    rays: Rays | None = None
    refused: str | None = None
    raised: str = ""  # an error that is none for users, a crash, or no end
    deeds: tuple[str, ...] = ()  # programs started, pickles opened, files read that lie outside
    warned: str = ""  # what libraries wrote on the terminal
    seconds: float = 0.0  # of the processor
    megabytes: float = 0.0  # by which memory grew, at most


class Reader:
    """Reads scenes one after the other. Use as a context manager."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._process: Any = None
        self._connection: Any = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self, job: Job) -> Outcome:
        """What comes of reading a scene."""
        return self.call(read_scene, job, self.work)

    def call(self, do: Callable[..., Rays], *arguments: Any) -> Outcome:
        """What comes of a function, run in the process."""
        if self._process is None:
            self._start()
        self._connection.send((do, arguments))
        if not self._connection.poll(PATIENCE_SECONDS):
            self.stop()
            return Outcome(raised=f"it had not ended after {PATIENCE_SECONDS} s", seconds=PATIENCE_SECONDS)
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.stop()
            return Outcome(raised=f"the process died ({code})")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._connection.poll(START_SECONDS):
            raise AssertionError("the process that reads scenes did not start")
        self._connection.recv()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = None


def serve(connection: Connection) -> None:
    """What the process does."""
    import torch
    import trimesh  # noqa: F401  so that no case pays for its import

    from nerfpipe.runtime.errors import NerfpipeError

    torch.set_num_threads(1)
    deeds: list[str] = []
    sys.addaudithook(lambda event, arguments: _watch(event, arguments, deeds))
    _limit_memory()
    connection.send("ready")
    while True:
        do, arguments = connection.recv()
        deeds.clear()
        before, started, said = _forget_peak(), time.process_time(), io.StringIO()
        found: dict[str, Any] = {}
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), _all_warnings():
                found["rays"] = do(*arguments)
        except NerfpipeError as error:
            found["refused"] = str(error)
        except OSError as error:  # of which the stages make a line, where it says which file
            key = "refused" if error.filename else "raised"
            found[key] = f"{error.filename}: {error.strerror}" if error.filename else f"OSError: {error}"
        except BaseException as error:
            found["raised"] = f"{type(error).__name__}: {str(error)[:SHOWN]}"
        seconds, grown = time.process_time() - started, (_peak() - before) / 2**20
        warned = next((line for line in said.getvalue().splitlines() if "Warning" in line), "")
        connection.send(Outcome(**found, deeds=tuple(deeds), warned=warned, seconds=seconds, megabytes=grown))


@contextlib.contextmanager
def _all_warnings() -> Iterator[None]:
    """Every case warns as the first one does."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def _watch(event: str, arguments: tuple, deeds: list[str]) -> None:
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "socket.connect"):
        deeds.append(f"it started {arguments[0]!r}" if event != "socket.connect" else "it opened a connection")
    elif event == "pickle.find_class":
        deeds.append(f"it unpickled {arguments[0]}.{arguments[1]}")
    elif event == "open" and isinstance(arguments[0], (str, bytes, Path)) and OUTSIDE in str(arguments[0]):
        deeds.append(f"it opened {arguments[0]}")


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _forget_peak() -> int:
    """Bytes in use now; the peak begins here. 0 where the system does not say."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def read_scene(job: Job, work: Path) -> Rays:
    """Bring the scene as the download stage does, and read it as the stage `rays` does."""
    from nerfpipe.download.acquire import NOT_FOR_READING, make_raw
    from nerfpipe.project.catalogue import Entry
    from nerfpipe.project.paths import ENTRY_FILE
    from nerfpipe.raybank.writer import build
    from nerfpipe.runtime.files import write_json
    from nerfpipe.scenes.loading import load_scene

    raw, bank = work / "raw", work / "bank"
    for folder in (raw, bank):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    entry = Entry.model_validate({"path": str(job.data), **job.keys})
    if job.bring:
        make_raw("stranger", entry, raw)
    else:
        raw = job.data
        file = next((each.name for each in raw.iterdir() if each.suffix == ".npz"), None)
        told = entry.model_dump(mode="json", exclude=NOT_FOR_READING)
        write_json(raw / ENTRY_FILE, {"name": "stranger", **told, "file": file})
    scene = load_scene(raw)
    built = build(scene, bank, 0.0, 0.05)
    return rays_of(scene, bank=None if job.light else built)


def rays_of(scene: Any, bank: Any = None) -> Rays:
    """Of a scene, with what lies in its bank; without one there are no pixels."""
    views = range(scene.views if bank is not None else 0)
    cameras = [scene.camera(view) for view in range(scene.views)]
    shapes = [(camera.height, camera.width) for camera in cameras]
    masks = [bank.mask(view) for view in views]
    depths = {int(view): bank.true_depth(int(view)) for view in scene.splits["test"]} if bank is not None else {}
    return Rays(
        cameras=[camera.to_dict() for camera in cameras],
        poses=scene.similarity.original_poses(scene.poses.astype(np.float64)),
        directions=[camera.directions(camera.pixel_centres()).numpy() for camera in (cameras if views else [])],
        colours=[
            np.round(bank.view(view).target.numpy() * 255).astype(np.uint8).reshape(*shapes[view], 4) for view in views
        ],
        masks=None if not views or masks[0] is None else [masks[view].numpy().reshape(shapes[view]) for view in views],
        depths={
            view: depth.numpy().reshape(shapes[view]) / scene.similarity.scale
            for view, depth in depths.items()
            if depth is not None
        },
        splits={name: [int(view) for view in numbers] for name, numbers in scene.splits.items()},
        points=None if scene.points is None else scene.similarity.original(scene.points.astype(np.float64)),
        near=scene.near / scene.similarity.scale,
        bounds=scene.bounds,
        kind=scene.kind,
        notes=scene.notes,
    )

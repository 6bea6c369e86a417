"""`make robustness`: every part, with a line for each trial and the counts at the end; exits with 1 if one is wrong."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer

from nerfpipe.runtime.checkpoint import Checkpoint
from robustness.caches import damage_caches
from robustness.counts import Counts, table
from robustness.disk import fill_disks
from robustness.files_fuzz import fuzz_banks, fuzz_checkpoints, fuzz_models
from robustness.interruptions import signal_all
from robustness.kills import kill_many
from robustness.numbers import fuzz_numbers
from robustness.project import Project, make_project, other_method
from robustness.scenes.part import fuzz_scenes
from robustness.servers import fuzz_servers
from robustness.settings_fuzz import fuzz_settings
from robustness.together import kill_workers, repro_twice
from robustness.viewer_messages import fuzz_viewer

MODEL = "data/model/field.safetensors"
WITH_NGP = ("kills", "models", "numbers")


def parts(tiny: Project, ngp: Project | None, kills: int, seed: int, work: Path) -> dict[str, Callable[[], Counts]]:
    """The parts by the names that `--only` takes."""
    projects = [tiny] + ([ngp] if ngp else [])
    return {
        "kills": lambda: kill_many(projects, kills, seed, work),
        "signals": lambda: signal_all(tiny, seed, work),
        "disk": lambda: fill_disks(tiny, work),
        "cache": lambda: damage_caches(tiny, work),
        "together": lambda: repro_twice(tiny, seed, work),
        "queue": lambda: kill_workers(tiny, work),
        "settings": lambda: fuzz_settings(tiny, seed, work),
        "models": lambda: fuzz_models([project.folder / MODEL for project in projects], seed, work),
        "checkpoints": lambda: fuzz_checkpoints(checkpoint(work), seed, work),
        "banks": lambda: fuzz_banks(tiny.folder / "data/rays", seed, work),
        "servers": lambda: fuzz_servers(work),
        "viewer": lambda: fuzz_viewer(tiny, seed, work),
        "scenes": lambda: fuzz_scenes(seed, work),
        "numbers": lambda: fuzz_numbers(tiny, [project.folder / MODEL for project in projects], work),
    }


PARTS = tuple(parts(Project(Path(), "", {}, {}, 0.0), None, 0, 0, Path()))


def main(
    kills: Annotated[int, typer.Option(help="how many runs are killed")] = 50,
    seed: Annotated[int, typer.Option(help="of all that is random")] = 0,
    only: Annotated[str, typer.Option(help=f"some of the parts: {','.join(PARTS)}")] = ",".join(PARTS),
) -> None:
    """Kill, starve and feed rubbish to the pipeline in temporary clones, and count what it makes of it."""
    chosen = only.split(",")
    if unknown := [name for name in chosen if name not in PARTS]:
        raise typer.BadParameter(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="nerfpipe-robustness-"))
    work.chmod(0o755)  # another user must be able to reach a file that it may not read
    try:
        with_ngp = any(name in WITH_NGP for name in chosen)
        print("making a small project and running it undisturbed", flush=True)
        tiny = make_project(work / "tiny", compiled=with_ngp)
        ngp = other_method(tiny, work / "ngp", "ngp") if with_ngp else None
        print(f"undisturbed it takes {tiny.seconds:.1f} s; all is ready after {time.monotonic() - started:.0f} s")
        counted = [run() for name, run in parts(tiny, ngp, kills, seed, work).items() if name in chosen]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{table(counted)}\n{time.monotonic() - started:.0f} seconds")
    if not all(counts.sound for counts in counted):
        raise typer.Exit(1)


def checkpoint(work: Path) -> Path:
    """A small checkpoint, as training writes it."""
    held = Checkpoint(work / "sound", work / "sound")
    state = {"at": {"step": 3, "seconds": 0.1, "since_row": {"loss": 0.5}}, "history": [{"step": 2, "loss": 0.25}] * 5}
    held.save({"model.weight": torch.rand(30, 4), "adam.0.step": torch.tensor(3.0)}, state)
    return held.file


if __name__ == "__main__":
    typer.run(main)

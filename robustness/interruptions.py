"""SIGTERM and SIGINT, to a stage alone and to the whole group as Ctrl-C sends it, in every stage.

The stage must end with its one line and clear away what it had begun; a training saves first and goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import psutil

from robustness.counts import Counts
from robustness.kills import DRAWS, RESUMED, stage_processes
from robustness.project import (
    PATIENCE_SECONDS,
    POLL_SECONDS,
    STAGES,
    Project,
    finish,
    partial_files,
    result,
    start,
    unclear,
    wait_for,
)
from robustness.project import running as stage_line

STOPPED = "nothing lost; run the same command again to go on"
INTERRUPTED = "error: interrupted; run the same command again to go on"
TRAINING = "train tiny on"
STARTED_SECONDS = 0.15  # an interpreter is up, and the stage's package imported
AT = 0.8  # of a stage's undisturbed seconds, before which a signal is sent


def signal_all(project: Project, seed: int, work: Path, stages: tuple[str, ...] = tuple(STAGES)) -> Counts:
    """Each signal to each receiver in each stage."""
    counts, random_ = Counts("signals"), random.Random(seed)
    for stage in stages:
        for number in (signal.SIGTERM, signal.SIGINT):
            for receiver in ("stage", "group"):
                name = f"{number.name} to the {receiver} in {stage}"
                try:
                    for attempt in range(DRAWS):
                        folder = project.copy(work / "signalled", forget_from=stage)
                        said, fault = interrupt(project, folder, stage, number, receiver, random_.random() / 2**attempt)
                        if stage not in timings(folder):
                            break  # it came before the stage had done its work
                    said += finish(folder)
                except AssertionError as error:
                    counts.trial(name, str(error), identical=False)
                    continue
                counts.trial(name, fault or unclear(said), result(folder) == project.truth, RESUMED in said)
    return counts


def interrupt(
    project: Project, folder: Path, stage: str, number: signal.Signals, receiver: str, share: float
) -> tuple[str, str]:
    """Send the signal after a share of the stage's seconds; what was said, and what is wrong with it, if anything."""
    process, log = start(folder, "repro", stage)
    wait_for(stage_line(stage), log, process)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := stage_processes(process)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if stage == "train":
        wait_for(TRAINING, log, process)  # so that there is something to save
    latest = 0.0 if stage == "train" else AT * (seconds_of(project, stage) - STARTED_SECONDS)
    time.sleep(STARTED_SECONDS + share * latest)
    if receiver == "group":
        os.killpg(process.pid, number)
    else:
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # it came too late
                each.send_signal(number)
    psutil.wait_procs(found)
    process.wait()
    said = log.read_text(errors="replace")
    if process.returncode == 0:
        return said, "it exited with 0"
    if left := partial_files(folder):
        return said, f"left behind: {', '.join(left)}"
    if INTERRUPTED not in said and STOPPED not in said:
        return said, f"it did not say that it was interrupted: {said.strip().splitlines()[-3:]}"
    return said, ""


def timings(folder: Path) -> dict[str, float]:
    """The stages that came to their end in this folder."""
    file = folder / ".nerfpipe/timings.json"
    return json.loads(file.read_text()) if file.exists() else {}


def seconds_of(project: Project, stage: str) -> float:
    """From a stage's beginning to the next one's, in the undisturbed run."""
    began = project.starts[stage]
    return min((other for other in project.starts.values() if other > began), default=project.seconds) - began

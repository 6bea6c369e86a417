"""SIGTERM and SIGINT, to a stage alone and to the whole group as Ctrl-C sends it; SIGTERM to DVC alone; in every stage.

The stage must end with its one line and clear away what it had begun. A training is met in its loop: it must say at
which step it stopped, and go on from that one.

DVC has no handler for SIGTERM: it dies, and its stage, which knows nothing of it, goes on to its end as after a
`kill -9` of DVC. `dvc repro`, asked at once, does the work beside it or says that another training is running; once the
stage has ended it must succeed. (SIGINT to DVC alone does nothing: DVC ignores it while a stage runs.)
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import psutil

from robustness.counts import Counts
from robustness.kills import DRAWS, RESUMED, alive_in_group, go_on, stage_processes
from robustness.project import (
    BEGINS,
    LOCK_MENDED,
    PATIENCE_SECONDS,
    POLL_SECONDS,
    STAGES,
    TRAINING,
    Project,
    has_checkpoint,
    partial_files,
    result,
    start,
    unclear,
    unsettled,
    wait_for,
)

STOPPED = re.compile(r"error: stopped at step (\d+) of \d+, nothing lost; run the same command again to go on")
INTERRUPTED = "error: interrupted; run the same command again to go on"
STARTED_SECONDS = 0.15  # an interpreter is up, and the stage's package imported
AT = 0.8  # of a stage's undisturbed seconds, before which a signal is sent
SENT = [  # which, and to whom
    (signal.SIGTERM, "stage"),
    (signal.SIGTERM, "group"),
    (signal.SIGTERM, "dvc"),
    (signal.SIGINT, "stage"),
    (signal.SIGINT, "group"),
]


def signal_all(project: Project, seed: int, work: Path, stages: tuple[str, ...] = tuple(STAGES)) -> Counts:
    """Each signal to each receiver in each stage."""
    counts, random_ = Counts("signals"), random.Random(seed)
    for stage in stages:
        for number, receiver in SENT:
            name = f"{number.name} to the {receiver} in {stage}"
            try:
                said, fault = interrupt_in_time(project, work / "signalled", stage, number, receiver, random_)
                fault = fault or unsettled(work / "signalled")
            except AssertionError as error:
                counts.trial(name, str(error), identical=False)
                continue
            identical = result(work / "signalled") == project.truth
            counts.trial(name, fault or unclear(said), identical, RESUMED in said, LOCK_MENDED in said)
    return counts


def interrupt_in_time(
    project: Project, folder: Path, stage: str, number: signal.Signals, receiver: str, random_: random.Random
) -> tuple[str, str]:
    """Interrupt a stage before its work is done, and go on: what was said, and what is wrong with it, if anything."""
    for attempt in range(DRAWS):
        project.copy(folder, forget_from=stage)
        said, code, orphans = interrupt(project, folder, stage, number, receiver, random_.random() / 2**attempt)
        if stage not in timings(folder):
            break
    else:
        return said, f"it was through before the signal came, in {DRAWS} attempts"
    fault = "" if receiver == "dvc" else told_badly(folder, stage, said, code)
    more, later = go_on(folder, orphans)
    stopped = STOPPED.search(said)
    if stopped and not re.search(rf"{RESUMED} {stopped[1]}\b", more):
        later = later or f"it did not go on from step {stopped[1]}"
    return said + more, fault or later


def interrupt(
    project: Project, folder: Path, stage: str, number: signal.Signals, receiver: str, share: float
) -> tuple[str, int, list[psutil.Process]]:
    """Send the signal after a share of the stage's seconds: what was said, DVC's exit code, and who lives on."""
    process, log = start(folder, "repro", stage)
    phase = TRAINING if stage == "train" else stage
    wait_for(BEGINS[phase], log, process)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := stage_processes(process)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if stage == "train":
        while not has_checkpoint(folder) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)  # it is in its loop, and there is something to go on from
    else:
        time.sleep(STARTED_SECONDS)
    time.sleep(share * max(0.0, AT * project.length(phase) - STARTED_SECONDS))
    if receiver == "dvc":
        process.send_signal(number)
        process.wait()
        return log.read_text(errors="replace"), process.returncode, alive_in_group(process.pid)
    if receiver == "group":
        os.killpg(process.pid, number)
    else:
        for each in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # it came too late
                each.send_signal(number)
    psutil.wait_procs(found)
    process.wait()
    return log.read_text(errors="replace"), process.returncode, []


def told_badly(folder: Path, stage: str, said: str, code: int) -> str:
    """What is wrong with how a stage took a signal; empty when nothing is."""
    if code == 0:
        return "it exited with 0"
    if left := partial_files(folder):
        return f"left behind: {', '.join(left)}"
    well = STOPPED.search(said) if stage == "train" else INTERRUPTED in said
    return "" if well else f"it did not say that it was interrupted: {said.strip().splitlines()[-3:]}"


def timings(folder: Path) -> dict[str, float]:
    """The stages that came to their end in this folder."""
    file = folder / ".nerfpipe/timings.json"
    return json.loads(file.read_text()) if file.exists() else {}

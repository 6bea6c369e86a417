"""Two at work in one project: `dvc repro` twice at once, and a queue worker that is killed.

DVC locks what a stage reads and writes: the second `dvc repro` either waits its turn or says in one `ERROR: ` line
what is busy, and by whom. A queued experiment runs in a copy of the project under .dvc/tmp/exps, and keeps its
checkpoint in the original's .nerfpipe/; killed and queued again it goes on from there.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from robustness.counts import Counts
from robustness.kills import RESUMED
from robustness.project import (
    PATIENCE_SECONDS,
    POLL_SECONDS,
    Project,
    dvc,
    edit,
    finish,
    has_checkpoint,
    result,
    run,
    start,
    unclear,
    unsettled,
)

IDENTITY = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
BUSY = ("is busy", "Unable to acquire lock", "another training is running here")


def repro_twice(project: Project, seed: int, work: Path, trials: int = 4) -> Counts:
    """Start a second `dvc repro` at a random moment of a first one."""
    counts, random_ = Counts("two at once"), random.Random(seed)
    for number in range(trials):
        folder = project.copy(work / "twice", forget_from="download")
        moment = 0.0 if number == 0 else random_.uniform(0, project.seconds)
        first, first_log = start(folder, log="first.log")
        time.sleep(moment)
        second, second_log = start(folder, log="second.log")
        codes = [first.wait(), second.wait()]
        texts = [log.read_text(errors="replace") for log in (first_log, second_log)]
        fault = "" if 0 in codes else f"neither came to its end: {texts}"
        for code, said in zip(codes, texts, strict=True):
            fault = fault or unclear(said)
            if code and not any(words in said for words in BUSY):
                fault = fault or f"it said {said.strip().splitlines()[-3:]}"
        try:
            finish(folder)
            fault = fault or unsettled(folder)
        except AssertionError as error:
            fault = fault or str(error)
        counts.trial(f"a second repro after {moment:.1f} s", fault, result(folder) == project.truth)
    return counts


def kill_workers(project: Project, work: Path, trials: int = 2) -> Counts:
    """Queue an experiment, kill -9 the worker and all it started once a checkpoint is there, and queue it again."""
    counts = Counts("queue worker", kills=True)
    for seed in range(1, trials + 1):  # other than in params.yaml, so that there is something to train
        name = f"worker of an experiment with seed {seed}"
        truth = with_seed(project.copy(work / "queued"), seed)
        folder = project.copy(work / "queued")
        for command in (["add", "-A"], [*IDENTITY, "commit", "-qm", "as it was run"]):
            run(folder, "git", *command)
        try:
            queue(folder, seed, "first")
            kill_in_training(folder)
            queue(folder, seed, "second")
            said = wait_for_end(folder, "second")
            dvc(folder, "exp", "apply", "second")
            fault = unclear(said) or ("" if RESUMED in said else "it did not go on from a step") or unsettled(folder)
            counts.trial(name, fault, result(folder) == truth, RESUMED in said)
        except AssertionError as error:
            counts.trial(name, str(error), identical=False)
        finally:
            dvc(folder, "queue", "stop", "--kill", check=False)
    return counts


def with_seed(folder: Path, seed: int) -> dict[str, str]:
    """What an undisturbed run with another seed comes to."""
    edit(folder / "params.yaml", {"seed": seed})
    finish(folder)
    return result(folder)


def queue(folder: Path, seed: int, name: str) -> None:
    """Queue an experiment and start one worker."""
    dvc(folder, "exp", "run", "--queue", "-n", name, "-S", f"seed={seed}")
    process = start(folder, "queue", "start", "-j", "1", log="queue.log")[
        0
    ]  # no pipes: the worker would hold them open
    if process.wait():
        raise AssertionError("no worker could be started")


def kill_in_training(folder: Path) -> None:
    """When a checkpoint has been written, kill -9 all processes that work in the folder: worker, DVC and stage."""
    patiently(lambda: has_checkpoint(folder), "no checkpoint was seen")
    for process in workers(folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    patiently(lambda: not workers(folder), "what was killed lives on")


def workers(folder: Path) -> list[psutil.Process]:
    """The processes that run in the folder or below it: only those that the harness started there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for_end(folder: Path, name: str) -> str:
    """Wait until an experiment is through; what it said."""
    patiently(lambda: any(state in row(folder, name) for state in ("Success", "Failed")), f"{name} did not end")
    said = dvc(folder, "queue", "logs", name, check=False).stdout
    if "Success" not in row(folder, name):
        raise AssertionError(f"{name} failed: {said[-500:]}")
    return said


def row(folder: Path, name: str) -> str:
    """The experiment's line of `dvc queue status`."""
    lines = dvc(folder, "queue", "status", check=False).stdout.splitlines()
    return next((line for line in lines if name in line), "")


def patiently(true: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise)
        time.sleep(POLL_SECONDS)

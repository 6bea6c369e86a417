"""A few of the cases through the real commands: what a user sees, and what is left behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from robustness.counts import Counts
from robustness.scenes.changes import put, renamed, respell
from robustness.scenes.images import ORIENTED, oriented
from robustness.scenes.judge import REFUSED, SAME, TOLD, Case
from robustness.scenes.lens_faults import LENS, lens
from robustness.scenes.names import SPELLINGS
from robustness.scenes.pictures import STORED, strange
from robustness.scenes.repeats import ORDER, TWICE, number_pictures, twice
from robustness.scenes.truth import KEYS

REPOSITORY = Path(__file__).parents[2]
SECONDS = 120  # for one command
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
BAD_NAME = "images/\x1b[2J\x1b]0;owned\x07\u202egnp.000\r.png"
STAGES = (("-m", "stages.download"), ("-m", "stages.rays"), ("-m", "nerfpipe", "doctor"))


def cases() -> Iterator[Case]:
    yield Case("a name with control characters", "pinhole", respell(lambda name: BAD_NAME), REFUSED, "not there")
    yield Case(
        "a name of COLMAP with control characters",
        "colmap_text",
        renamed("\x1b[2J{:03d}.png", "{:03d}.png"),
        REFUSED,
        "not there",
    )
    yield Case("EPS as a picture", "pinhole", put("images/003.png", strange("EPS")), REFUSED, "003.png")
    yield Case("cy = -50", "pinhole", lens({"cy": -50}), REFUSED, LENS)
    yield Case("rows in the order of numbers", "llff", lambda f: number_pictures(f, "{}.png"), TOLD, ORDER)
    yield Case("a frame twice", "pinhole", twice(lambda name: f"./{name}"), TOLD, f"notice.*({TWICE})")
    aside = oriented("JPEG", ".jpg", 6, STORED[6])
    yield Case("orientation 6", "transforms", aside, SAME, ORIENTED)
    yield Case("absolute names", "pinhole", respell(SPELLINGS["absolute without a suffix"]))
    few = {"bounds": [[-0.04] * 3, [0.04] * 3]}
    yield Case("bounds that hardly a ray meets", "pinhole", lambda folder: None, TOLD, r"warning.*\brays?\b", keys=few)


def try_commands(folders: dict[str, Path], counts: Counts, work: Path, count: int) -> None:
    """The first `count` of the cases."""
    for case in list(cases())[:count]:
        data, project = work / "data", work / "project"
        for each in (data, project):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(folders[case.form], data)
        try:
            case.change(data)
        except OSError as error:
            counts.quiet(f"{case.name}: cannot be tried here ({error})", "", taken=True)
            continue
        made(project, {"path": str(data), **KEYS.get(case.form, {}), **case.keys})
        counts.quiet(f"commands, {case.form}, {case.name}", *through(case, project))


def made(project: Path, entry: dict[str, object]) -> None:
    """As little of a project as the stages need."""
    (project / "data").mkdir(parents=True)
    params = (REPOSITORY / "params.yaml").read_text()
    (project / "params.yaml").write_text(re.sub(r"(?m)^scene: \S+", "scene: stranger", params))
    (project / "data/scenes.yaml").write_text(yaml.safe_dump({"stranger": entry}))


def through(case: Case, project: Path) -> tuple[str, bool]:
    """What is wrong with what the commands said and left, and whether all of them took the scene."""
    said = ""
    for stage in STAGES:
        done = run(project, *stage)
        said += done.stdout + done.stderr
        if fault := unfit(done):
            return fault, False
        if left := list(project.rglob(".partial-*")):
            return f"it left {left[0].name}", False
        if done.returncode:
            if case.must == SAME:
                return f"refused: {done.stderr.strip()}", False
            told = re.search(case.says, done.stderr, re.IGNORECASE)
            return "" if told else f"refused for another reason: {done.stderr.strip()}", False
    if case.must == REFUSED:
        return "taken; it must be refused", True
    noted = re.search(case.says, said, re.IGNORECASE)
    return "" if noted else f"no word of {case.says!r}", True


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=SECONDS
    )


def unfit(done: subprocess.CompletedProcess[str]) -> str:
    """What no command may say, nor how it may end."""
    said = done.stdout + done.stderr
    if "Traceback" in said:
        return f"a traceback: {said.strip().splitlines()[-1]}"
    if found := CONTROL.search(said):
        return f"a control character, {found[0]!r}, reached the terminal"
    bad = [line for line in done.stderr.splitlines() if not line.startswith("error: ")]
    if done.returncode not in (0, 1) or (done.returncode and (bad or not done.stderr)):
        return f"it exited with {done.returncode} and said {done.stderr[:200]!r}"
    return ""

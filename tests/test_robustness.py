"""The harness of `make robustness`, with a few cases of most parts, and its own arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from robustness.__main__ import MODEL, PARTS, checkpoint
from robustness.caches import damage_caches
from robustness.counts import Counts, table
from robustness.disk import fill_disks
from robustness.files_fuzz import fuzz_banks, fuzz_checkpoints, fuzz_models
from robustness.kills import place
from robustness.project import Project, make_project, result
from robustness.settings_fuzz import fuzz_settings, told_well

SEED = 0
FEW = 30


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("robustness")


@pytest.fixture(scope="module")
def project(work: Path) -> Project:
    return make_project(work / "tiny", compiled=False)


def test_problems_are_counted_and_listed() -> None:
    kills, faults, skipped = Counts("kills", kills=True), Counts("files"), Counts("disk", skipped="no root")
    kills.trial("one", identical=True, resumed=True)
    kills.trial("two", identical=False)
    faults.quiet("three", "")
    faults.quiet("four", "", unnoticed=True)
    faults.quiet("five", "a traceback")
    text = table([kills, faults, skipped])
    assert "| kills | 2 | 2 of 2 | - | 1 of 2 | 1 |" in text
    assert "| files | 3 | 1 of 2 | 1 | - | - |" in text
    assert "| disk | skipped: no root |" in text
    assert "kills: 2, resumes: 1, identical: 1" in text
    assert "faults tried: 3, reported clearly: 1, sound or not to be noticed: 1" in text
    assert "NOT AS IT MUST BE: kills: two: the bytes are others" in text
    assert "NOT AS IT MUST BE: files: five: a traceback" in text
    assert (kills.sound, faults.sound, skipped.sound, Counts("nothing").sound) == (False, False, True, False)


def test_a_moment_falls_into_the_last_stage_that_began() -> None:
    project = Project(Path(), "tiny", {}, {"download": 1.0, "rays": 3.0}, 5.0)
    assert place(project, 0.5) == (None, 0.5)
    assert place(project, 2.5) == ("download", 1.5)
    assert place(project, 4.0) == ("rays", 1.0)


@pytest.mark.parametrize(
    ("code", "said", "well"),
    [
        (0, "", True),
        (0, "error: x\n", False),
        (1, "error: x\nerror: y\n", True),
        (1, "", False),
        (2, "error: x\n", False),
        (1, "Traceback (most recent call last):\n", False),
    ],
)
def test_what_is_told_well(code: int, said: str, well: bool) -> None:
    assert (told_well("it", code, said) == "") == well


def test_the_parts_have_names() -> None:
    assert {"kills", "signals", "disk", "cache", "together", "queue", "settings", "models", "banks"} <= set(PARTS)


QUICK: dict[str, Callable[[Project, Path], Counts]] = {
    "settings": lambda project, work: fuzz_settings(project, SEED, work, cases=FEW, real=1),
    "models": lambda project, work: fuzz_models([project.folder / MODEL], SEED, work, count=FEW),
    "checkpoints": lambda project, work: fuzz_checkpoints(checkpoint(work), SEED, work, count=FEW),
    "banks": lambda project, work: fuzz_banks(project.folder / "data/rays", SEED, work, count=4),
}
SLOW: dict[str, Callable[[Project, Path], Counts]] = {  # kills are in test_pipeline.py; the rest is `make robustness`
    "disk": lambda project, work: fill_disks(project, work, cases=1),
    "cache": lambda project, work: damage_caches(project, work, stages=("rays",)),
}


def all_as_it_must_be(counts: Counts) -> None:
    if counts.skipped:
        pytest.skip(counts.skipped)
    assert counts.problems == []
    assert counts.tried


@pytest.mark.parametrize("part", QUICK)
def test_files_full_of_rubbish(part: str, project: Project, work: Path) -> None:
    all_as_it_must_be(QUICK[part](project, work))


@pytest.mark.slow
@pytest.mark.parametrize("part", SLOW)
def test_the_pipeline_disturbed(part: str, project: Project, work: Path) -> None:
    all_as_it_must_be(SLOW[part](project, work))
    assert result(project.folder) == project.truth, "the copy was disturbed, not what it was made from"

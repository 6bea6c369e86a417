"""The harness of `make robustness`, with a few cases of most parts, and its own arithmetic."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from sharing import Published

from robustness.__main__ import MODEL, PARTS, checkpoint
from robustness.caches import damage_caches
from robustness.counts import Counts, table
from robustness.damage import another_header, another_number, another_text, flipped
from robustness.disk import fill_disks
from robustness.files_fuzz import fuzz_banks, fuzz_checkpoints, fuzz_models
from robustness.kills import KINDS, OTHER_METHOD_EVERY, TURNS
from robustness.project import PHASES, Project, misnamed, phase_in, result
from robustness.servers import fuzz_servers
from robustness.settings_fuzz import fuzz_settings, reported_once, told_well

SEED = 0
FEW = 30


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("robustness")


@pytest.fixture(scope="module")
def project(published: Published) -> Project:
    """The small pipeline that has run for the tests of sharing: timing it, as for kills, would take two runs more."""
    return Project(published.author, "tiny", result(published.author), {}, 0.0)


def test_problems_are_counted_and_listed() -> None:
    kills, faults, skipped = Counts("kills", kills=True), Counts("files"), Counts("disk", skipped="no root")
    kills.trial("one", identical=True, resumed=True)
    kills.trial("two", identical=False, mended=True)
    faults.quiet("three", "")
    faults.quiet("four", "", taken=True)
    faults.quiet("five", "a traceback")
    text = table([kills, faults, skipped])
    assert "| kills | 2 | 2 of 2 | - | 1 of 2 | 1 |" in text
    assert "| files | 3 | 1 of 2 | 1 | - | - |" in text
    assert "| disk | skipped: no root |" in text
    assert "kills: 2, resumes: 1, identical: 1" in text
    assert "dvc.lock left cut short by DVC, and deleted as `nerfpipe check` says: 1" in text
    assert "faults tried: 3, reported clearly: 1, sound or not to be noticed: 1" in text
    assert "NOT AS IT MUST BE: kills: two: the bytes are others" in text
    assert "NOT AS IT MUST BE: files: five: a traceback" in text
    assert (kills.sound, faults.sound, skipped.sound, Counts("nothing").sound) == (False, False, True, False)


def test_a_part_that_tried_too_little_is_not_sound() -> None:
    unresumed, resumed = Counts("kills", kills=True), Counts("kills", kills=True)
    unresumed.trial("one", identical=True)
    resumed.trial("one", identical=True, resumed=True)
    assert unresumed.faults == ["no training went on from a step"]
    assert resumed.sound
    resumed.places.update(["train", "train", "rays"])
    assert "kills fell into: train 2, rays 1" in table([resumed])
    resumed.missed(["train", "render"])
    assert resumed.faults == ["no kill fell into render"]


def test_what_is_known_to_be_wrong_must_not_be_taken() -> None:
    counts = Counts("files")
    counts.quiet("a weight", "", taken=True)
    assert counts.sound
    counts.quiet("half a file", "", taken=True, must_refuse=True)
    assert counts.problems == ["half a file: it was taken as sound"]
    assert (counts.tried, counts.unnoticed, counts.clear) == (2, 1, 0)


def test_a_phase_ends_where_the_next_begins() -> None:
    project = Project(Path(), "tiny", {}, {"start": 0.0, "download": 1.0, "rays": 3.0}, 5.0)
    assert [project.length(phase) for phase in ("start", "download", "rays")] == [1.0, 2.0, 2.0]
    said = "Running stage 'train':\n> python -m stages.train\n"
    assert phase_in("") == "start"
    assert phase_in(said) == "train"
    assert phase_in(said + "train tiny on robot-arm: 9 weights, cpu; previews in p\n") == "training"


def test_fifty_kills_meet_every_phase_with_every_kind_and_method() -> None:
    trials = [
        (TURNS[n % len(TURNS)], KINDS[n % len(KINDS)], n % OTHER_METHOD_EVERY == OTHER_METHOD_EVERY - 1)
        for n in range(50)
    ]
    assert set(TURNS) == set(PHASES)
    assert len({(phase, kind) for phase, kind, _ in trials}) == len(PHASES) * len(KINDS)
    assert {phase for phase, _, other in trials if other} == set(PHASES)


def test_a_file_of_the_cache_is_held_against_its_name(tmp_path: Path) -> None:
    sound = hashlib.md5(b"whole").hexdigest()
    for name, content in {sound: b"whole", "0" * 32: b"other", "ab.unfinished.tmp": b"half"}.items():
        (tmp_path / name[:2]).mkdir()
        (tmp_path / name[:2] / name[2:]).write_bytes(content)
    assert misnamed(tmp_path) == ["0" * 32]


@pytest.mark.parametrize(
    ("sound", "changed", "passes"),
    [
        (b'{"near": 1.5}', b'{"near": 3.5}', True),
        (b'{"scene": "arm"}', b'{"scene": "brm"}', True),
        (b'{"kind": "arm"}', b'{"kind": "brm"}', False),
        (b'{"near": 1.5}', b'{"neas": 1.5}', False),
        (b'{"near": [1, 2]}', b'{"near": [132]}', False),
        (b'{"bf16": true}', b'{"bf16": 1   }', False),
        (b'{"near": 1.5}', b'{"near": 1.5]', False),
    ],
)
def test_a_changed_text_may_pass_where_it_says_another_number_or_name(
    sound: bytes, changed: bytes, passes: bool
) -> None:
    assert another_text(sound, changed) == passes
    metadata = [{"nerfpipe": text.decode()} for text in (sound, changed)]
    assert another_header(*(save({"a": torch.zeros(2)}, each) for each in metadata)) == passes


def test_other_tensors_and_letters_for_digits_may_not_pass() -> None:
    one, other = (save({name: torch.zeros(2)}, {"nerfpipe": "{}"}) for name in "ab")
    assert not another_header(one, other)
    assert another_number(b"(19,)", b"(99,)")
    assert not another_number(b"(19,)", b"(1y,)")
    [damage] = flipped(b"19", 0, 2, random.Random(SEED), 1, "all of it")
    assert damage.must_refuse


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


FAULTS = ["error: params.yaml: seed: missing"]
BY_STAGE = "ERROR: failed to reproduce 'check': failed to run: python -m stages.check, exited with 1"
BY_DVC = "ERROR: unable to read: 'params.yaml', YAML file structure is corrupted: line 1"


@pytest.mark.parametrize(
    ("code", "said", "well"),
    [
        (255, [*FAULTS, BY_STAGE], True),
        (255, [BY_DVC], True),
        (0, [], False),
        (255, FAULTS, False),
        (255, [BY_STAGE], False),
        (255, [*FAULTS, *FAULTS, BY_STAGE], False),
        (255, [*FAULTS, BY_STAGE.replace("check", "train")], False),
        (255, [BY_DVC, BY_DVC], False),
        (255, ["Traceback (most recent call last):", BY_DVC], False),
    ],
)
def test_a_wrong_file_is_reported_once(code: int, said: list[str], well: bool) -> None:
    tried = subprocess.CompletedProcess([], code, stdout="", stderr="\n".join(said))
    assert (reported_once(tried, FAULTS) == "") == well


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
    assert counts.faults == []


@pytest.mark.parametrize("part", QUICK)
def test_files_full_of_rubbish(part: str, project: Project, work: Path) -> None:
    all_as_it_must_be(QUICK[part](project, work))


@pytest.mark.slow
@pytest.mark.parametrize("part", SLOW)
def test_the_pipeline_disturbed(part: str, project: Project, work: Path) -> None:
    all_as_it_must_be(SLOW[part](project, work))
    assert result(project.folder) == project.truth, "the copy was disturbed, not what it was made from"


def test_servers_that_lie_are_met_as_they_must_be(tmp_path: Path) -> None:
    counts = fuzz_servers(tmp_path)
    assert counts.tried > 30
    assert counts.faults == []

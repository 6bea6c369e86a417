"""What CI asks of a branch: is dvc.lock true, and what has changed against the base - in a clone without any data."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_pipeline import ROOT, clone, dvc, edit, run, shrink

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture(scope="module")
def without_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git clone of a project whose pipeline has run: dvc.lock and metrics, and no outs."""
    origin = clone(tmp_path_factory.mktemp("origin"))
    shrink(origin)
    edit(origin / "params.yaml", {"tiny.train.steps": 4, "tiny.train.validate_every": 2})
    dvc(origin, "repro")
    run(origin, "git", "add", "-A")
    run(origin, "git", *IDENTITY, "commit", "-qm", "results")
    folder = tmp_path_factory.mktemp("clone")
    run(folder, "git", "clone", "-q", str(origin), ".")
    assert not (folder / "data/rays").exists()
    return folder


@pytest.fixture
def branch(without_data: Path) -> Path:
    run(without_data, "git", "reset", "-q", "--hard")
    return without_data


def test_the_gate_passes_where_the_lock_is_true(branch: Path) -> None:
    assert run(branch, ".ci/gate").stdout == "dvc.lock is true\n"


@pytest.mark.parametrize("change", ["params", "code"])
def test_the_gate_stops_what_was_changed_and_not_run(branch: Path, change: str) -> None:
    if change == "params":
        edit(branch / "params.yaml", {"tiny.train.lr": 1e-3})
    else:
        (branch / "nerfpipe/training/losses.py").open("a").write("\n# another thought\n")
    refused = run(branch, ".ci/gate", check=False)
    assert refused.returncode == 1
    assert "dvc.lock is behind the code or params.yaml: run `dvc repro`" in refused.stderr


def test_the_comment_tells_what_changed(branch: Path) -> None:
    assert run(branch, ".ci/comment", "HEAD").stdout.count("No change.") == 2
    edit(branch / "params.yaml", {"tiny.train.lr": 1e-3})
    text = (branch / "metrics/test.json").read_text()
    (branch / "metrics/test.json").write_text(text.replace('"views": 2', '"views": 3'))
    lines = run(branch, ".ci/comment", "HEAD").stdout.splitlines()
    assert any("tiny.train.lr" in line and "0.001" in line for line in lines)
    assert any("test.views" in line and line.count("|") > 4 for line in lines)
    assert not any("speed." in line for line in lines)


def test_a_comment_on_an_unknown_revision_is_an_error(branch: Path) -> None:
    refused = run(branch, ".ci/comment", "nowhere", check=False)
    assert refused.returncode != 0
    assert "nowhere" in refused.stderr
    assert refused.stdout == "", "nothing is posted that DVC did not say"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def test_robustness_is_tried_every_week_and_when_asked_for(workflow: dict[Any, Any]) -> None:
    triggers = workflow[True]  # to YAML 1.1 `on` is a truth
    assert "workflow_dispatch" in triggers
    [schedule] = triggers["schedule"]
    minute, hour, day, month, weekday = schedule["cron"].split()
    assert all(each.isdigit() for each in (minute, hour, weekday))
    assert (day, month) == ("*", "*")
    job = workflow["jobs"]["robustness"]
    assert "make robustness" in [step.get("run") for step in job["steps"]]
    assert {word.strip("'") for word in job["if"].split() if "'" in word} == {"schedule", "workflow_dispatch"}
    assert "robustness:" in (ROOT / "Makefile").read_text()


def test_the_workflow_is_yaml_and_names_scripts_that_are_there(workflow: dict[Any, Any]) -> None:
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    scripts = {word for command in commands for word in command.split() if word.startswith(".ci/")}
    assert scripts == {".ci/run", ".ci/gate", ".ci/comment"}
    assert all((ROOT / script).is_file() for script in scripts)


def test_actions_are_those_of_a_commit_and_keep_no_credentials(workflow: dict[Any, Any]) -> None:
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert steps
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in steps)
    checkouts = [step["with"] for step in steps if step["uses"].startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(given["persist-credentials"] is False for given in checkouts)


def test_no_second_index_is_asked_for_other_packages_than_torch() -> None:
    workflow, makefile = (ROOT / ".github/workflows/ci.yml").read_text(), (ROOT / "Makefile").read_text()
    assert "EXTRA_INDEX" not in workflow.upper().replace("-", "_")
    [line] = [line for line in makefile.splitlines() if "index-url" in line]
    assert line.endswith("-r requirements-torch.lock")
    pins = [line for line in (ROOT / "requirements-torch.lock").read_text().splitlines() if not line.startswith("#")]
    assert [pin.split("==")[0] for pin in pins] == ["torch"]


def test_every_pin_has_hashes_and_they_are_asked_for() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.split(r"\n(?=\w)", re.sub(r"(?m)^#.*\n", "", lock).strip())
    assert len(pins) > 100
    assert all(re.fullmatch(r"[\w.-]+==[^\n]+ \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+", pin) for pin in pins)
    for told in ("Makefile", "README.md"):
        lines = [line for line in (ROOT / told).read_text().splitlines() if "-r requirements.lock" in line]
        assert lines
        assert all("--require-hashes --no-deps" in line for line in lines)


def test_a_clone_with_windows_line_ends_has_the_bytes_that_dvc_hashed(tmp_path: Path) -> None:
    origin = clone(tmp_path / "origin")
    run(tmp_path, "git", "-c", "core.autocrlf=true", "clone", "-q", str(origin), "clone")
    names = run(origin, "git", "ls-files").stdout.splitlines()
    assert "params.yaml" in names
    assert [name for name in names if (origin / name).read_bytes() != (tmp_path / "clone" / name).read_bytes()] == []


@pytest.mark.parametrize(
    ("stub", "told"),
    [
        ({"chromium": "exit 0", "apt-get": "exit 1"}, "browser: chromium is here"),
        ({"apt-get": "exit 0"}, "browser: chromium was installed by apt-get"),
        ({"apt-get": "echo no network >&2; exit 100"}, "browser: none is here and none could be installed"),
        ({}, "browser: none is here and none could be installed"),
    ],
)
def test_a_browser_is_fetched_where_that_can_be_done_and_never_stops_the_tests(
    tmp_path: Path, stub: dict[str, str], told: str
) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci/run")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "env", "timeout"):
        (programs / name).symlink_to(shutil.which(name))
    for name, text in {"make": 'echo "make $1"', "id": "echo 0", **stub}.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    ran = subprocess.run([tmp_path / ".ci/run"], env={"PATH": str(programs)}, capture_output=True, text=True)
    assert ran.returncode == 0
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(told)
    assert lines[1:] == ["make test", "make lint"]

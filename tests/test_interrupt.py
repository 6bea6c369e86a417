"""Signals while a stage runs: one line, exit code 1, nothing half written left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_pipeline import ROOT, environment

from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.interrupt import INTERRUPTED
from nerfpipe.runtime.stage import stage

PATIENCE_SECONDS = 60


def interrupted_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_stage_is_told_and_clears_away(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as exit_, stage("rays"), atomic_folder(Path("rays")):
        interrupted_by(number)
    assert exit_.value.code == 1
    assert capsys.readouterr().err == f"error: {INTERRUPTED}\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_stage_imports_its_modules_is_told(number: int, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(600)\n")  # for ever
    env = {**environment(), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "stages.train"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert (process.returncode, said) == (1, f"error: {INTERRUPTED}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_work_is_done_does_nothing(number: int, tmp_path: Path) -> None:
    code = "import os; from nerfpipe.runtime.interrupt import end_at_once; from nerfpipe.runtime.stage import stage\n"
    code += f"end_at_once()\nwith stage('rays'): pass\nos.kill(os.getpid(), {int(number)}); print('whole')"
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")

"""What is waited for every day: a `dvc repro` that has nothing to do, and the imports of each stage.

`python -m benchmarks.everyday` measures the folder it is called in, whose pipeline must have run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 7
STAGES = ("download", "rays", "train", "evaluate", "render")
NOTHING_TO_DO = "Data and pipelines are up to date."
REPRO = ["-m", "dvc", "repro"]
GOALS = {"repro": 1.5, "import": 2.0}  # seconds


def everyday(folder: Path, rounds: int = ROUNDS) -> list[str]:
    """The table, as Markdown: whole commands, interpreter included, the best and the median of some rounds."""
    lines = ["| command | goal | best | median |", "|---|---|---|---|"]
    if up_to_date(folder):
        lines.append(row("`dvc repro`, nothing to do", GOALS["repro"], seconds(folder, REPRO, rounds)))
    else:
        lines.append(f"| `dvc repro`, nothing to do | {GOALS['repro']} s | not measured: there is something to do | |")
    for stage in STAGES:
        spent = seconds(folder, ["-c", f"import stages.{stage}"], rounds)
        lines.append(row(f"`import stages.{stage}`", GOALS["import"], spent))
    return lines


def up_to_date(folder: Path) -> bool:
    """Whether `dvc repro` would do nothing; it is not run to find out, for it might train."""
    said = python(folder, [*REPRO, "--dry"]).stdout
    return said.strip().splitlines()[-1:] == [NOTHING_TO_DO]


def seconds(folder: Path, arguments: list[str], rounds: int) -> list[float]:
    """Of a command, so many times after a first that is not counted."""
    spent = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        python(folder, arguments).check_returncode()
        spent.append(time.perf_counter() - started)
    return spent[1:]


def row(name: str, goal: float, spent: list[float]) -> str:
    return f"| {name} | {goal} s | {min(spent):.2f} s | {statistics.median(spent):.2f} s |"


def python(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """This interpreter, with the code of the folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment["PATH"]
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)


if __name__ == "__main__":
    print("\n".join(everyday(Path())))

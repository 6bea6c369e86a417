"""All stages on the built-in scene, in a clone that has never run: `make repro` after the installation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.everyday import everyday


def pipeline() -> tuple[float, float, list[str]]:
    """Seconds of `dvc repro` from nothing, the test PSNR, and the table of everyday commands in what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ".", str(clone)], check=True)
        path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
        subprocess.run([sys.executable, "-m", "nerfpipe", "compile"], cwd=clone, env=environment, check=True)
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=clone, env=environment, check=True)
        seconds = time.perf_counter() - started
        psnr = json.loads((clone / "metrics/test.json").read_text())["test"]["psnr"]
        return seconds, psnr, everyday(clone)

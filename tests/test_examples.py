"""The examples of CONTRIBUTING.md: each runs by itself, as a reader would run it, and does what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nerfpipe.models.model_file import load_model
from nerfpipe.rendering.query import FieldQuery

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LONGEST = 110  # lines of an example that is read at once


def run(name: str, folder: Path, *arguments: object) -> str:
    """What an example prints, run in an empty folder."""
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_method_learns(tmp_path: Path) -> None:
    losses = [float(loss) for loss in re.findall(r"loss ([\d.]+)", run("method.py", tmp_path))]
    assert len(losses) == 5
    assert losses[-1] < 0.5 * losses[0]


def test_a_format_is_found_and_read(tmp_path: Path) -> None:
    # 8 views, every 4th held out; the camera is 3 from the middle, 20 degrees above: (3 cos 20°, 0, 3 sin 20°)
    assert run("format.py", tmp_path).splitlines() == [
        "cup: 8 views, 6 of them to train, bounded",
        "first camera at [2.819, 0.0, 1.026]",
    ]


def test_an_operation_equals_its_definition(tmp_path: Path) -> None:
    assert "the kernel agrees with its definition" in run("op.py", tmp_path)


def test_an_export_holds_the_density_at_its_points(tmp_path: Path) -> None:
    file, output = ROOT / "tests/data/model_format_1.safetensors", tmp_path / "grid.npz"
    printed = run("export.py", tmp_path, file, output)
    with np.load(output, allow_pickle=False) as content:
        density, points = content["density"], content["points"]
    assert f"{(density > 0).sum():,} of them above 0" in printed
    model, header = load_model(file)
    in_scene = torch.from_numpy(header.similarity.points(points.reshape(-1, 3))).float()
    query = FieldQuery(model, header.space, torch.device("cpu"))
    expected = query.density(in_scene).reshape(density.shape).numpy() * header.similarity.scale
    inside = (slice(1, -1),) * 3  # whether a point on the very face of the bounds lies in them is a matter of rounding
    assert (expected[inside] > 0).any()
    np.testing.assert_allclose(density[inside], expected[inside], rtol=1e-3)


def test_an_export_of_no_model_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples/export.py"), "none.safetensors"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "none.safetensors: not found" in result.stderr


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_short_and_named_where_it_is_looked_for(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert f"examples/{file.name}" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

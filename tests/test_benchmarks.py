"""The benchmarks' own arithmetic and their Blender reader; never how fast anything is."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from benchmarks import everyday
from benchmarks.__main__ import SETTINGS, goals_table, methods_table, seconds_to
from benchmarks.kernels import floor
from benchmarks.scenes import LEGO, _scene
from benchmarks.train import params_with
from nerfpipe.camera_paths.shapes import orbit
from nerfpipe.config.yaml_file import read_yaml
from nerfpipe.geometry.conventions import SPLITS


def answer(method: str, points: list[tuple[float, float]], **more: object) -> dict:
    curve = [{"seconds": seconds, "step": n, "psnr": psnr} for n, (seconds, psnr) in enumerate(points)]
    numbers = {
        "seconds": points[-1][0],
        "samples_per_second": 2e6,
        "memory_mib": 900,
        "frame_own": 0.1,
        "own_size": 100,
    }
    return {"scene": "lego", "method": method, "steps": len(points), "curve": curve, "goals": {}, **numbers, **more}


NGP = answer("ngp", [(1, 19), (2, 24.5), (4, 25.5), (9, 30.2)], goals={"25": 5, "30": 12, "32": 60}, frame_800=0.5)
TINY = answer("tiny", [(100, 20), (600, 24)])


def test_a_level_is_reached_when_it_is_first_seen() -> None:
    assert seconds_to(NGP, 25) == 4
    assert seconds_to(NGP, 19) == 1
    assert seconds_to(NGP, 31) is None


def test_goals_say_when_or_that_they_were_not_reached() -> None:
    assert goals_table([NGP, TINY])[2:] == [
        "| lego | 25 dB in 5 s | 4.0 s |",
        "| lego | 30 dB in 12 s | 9.0 s |",
        "| lego | 32 dB in 60 s | not reached |",
        "| lego | training in 2048 MiB | 900 MiB |",
        "| lego | 800 x 800 in 1 s | 0.50 s |",
        "| lego | 24.00 dB, the best of tiny in 600 s (after 600 s) | 2.0 s, 300x sooner |",
    ]


def test_methods_stand_side_by_side() -> None:
    header, _, ngp, tiny = methods_table([NGP, TINY])
    assert header.count("|") == ngp.count("|") == tiny.count("|")
    assert "| 4 s |" in ngp
    assert "0.50 s" in ngp
    assert tiny.endswith("| - |")


def test_the_settings_are_sound_params() -> None:
    for runs in read_yaml(SETTINGS).values():
        for run in runs:
            assert params_with(run["method"], run.get("set", {})).method == run["method"]


def test_everyday_commands_are_measured_where_there_is_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    for stage in everyday.STAGES:
        (tmp_path / f"stages/{stage}.py").write_text("")
    (tmp_path / "dvc.py").write_text(f"print({everyday.NOTHING_TO_DO!r})")
    table = everyday.everyday(tmp_path, rounds=1)
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| `dvc repro`, nothing to do",
        *(f"| `import stages.{stage}`" for stage in everyday.STAGES),
    ]
    assert all(line.count(" s |") == 3 for line in table[2:]), "goal, best and median"
    (tmp_path / "dvc.py").write_text("print('Running stage')")
    assert "not measured" in everyday.everyday(tmp_path, rounds=1)[2]


def test_everyday_commands_are_those_of_the_pipeline() -> None:
    assert set(everyday.STAGES) <= set(read_yaml(Path("dvc.yaml"))["stages"])
    assert all(Path(f"stages/{stage}.py").is_file() for stage in everyday.STAGES)
    assert everyday.row("x", 1.5, [0.3, 0.1, 0.2]) == "| x | 1.5 s | 0.10 s | 0.20 s |"


def test_the_floor_counts_products_lookups_and_traffic() -> None:
    params = params_with("ngp", {"ngp.field.levels": 2, "ngp.field.width": 4})
    limits = {"tiles": 1.0, "lookups": 1.0, "copy": 1.0}
    # weights: 8·4 + 16·4 + 32·4 + 4·4 + 4·4 = 256
    found = floor(params, {"samples": 10, "rows": 3}, limits)
    assert found == {"products": 6 * 256 * 10, "lookups": 2 * 16 * 10, "traffic": 8 * 16 * 3}


def test_some_views_of_a_blender_scene_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    angle = 0.6911112
    turn = orbit(torch.zeros(3), 4.0, 30.0, 24).numpy()
    file = tmp_path / "lego_400.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for n, split in enumerate(SPLITS):
            frames = []
            for view in range(8):
                matrix = np.eye(4)
                matrix[:3] = turn[3 * view + n]
                picture = np.full((6, 8, 4), 10 * n + view, np.uint8)
                frames.append({"file_path": f"./{split}/r_{view}", "transform_matrix": matrix.tolist()})
                encoded = io.BytesIO()
                iio.imwrite(encoded, picture, extension=".png")
                archive.writestr(f"{split}/r_{view}.png", encoded.getvalue())
            archive.writestr(f"transforms_{split}.json", json.dumps({"camera_angle_x": angle, "frames": frames}))
    monkeypatch.setenv("NERFPIPE_DATA", str(tmp_path))
    scene = _scene(LEGO, tmp_path / "raw")
    assert {name: len(views) for name, views in scene.splits.items()} == {"train": 8, "val": 1, "test": 1}
    assert scene.cameras[0].fx == pytest.approx(4 / np.tan(angle / 2))
    assert scene.has_alpha
    np.testing.assert_allclose(scene.poses[1], turn[3], atol=1e-6)
    assert (scene.read_image(3) == 3).all()
    np.testing.assert_allclose(scene.bounds.mean(axis=0), 0, atol=1e-4)
    assert scene.background == "white"

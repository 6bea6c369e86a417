"""`nerfpipe summary`: the results of the last run, read from its metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nerfpipe.project.paths import METRICS, ORBIT, ORBIT_DEPTH, VIEWS
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular
from nerfpipe.runtime.stage import read_timings

STAGES = ("download", "rays", "train", "evaluate", "render")


def summary_lines() -> Iterator[str]:
    """Scene, method, results, seconds and files of the last run. Raises NerfpipeError as read_metrics does."""
    test = read_metrics("test", ("views", "background", "psnr"))
    train = read_metrics("train", ("scene", "method", "steps"))
    device = read_metrics("speed", ("device",))["device"]
    depth = f", depth error {test['depth_error']:.3g} scene units" if "depth_error" in test else ""
    yield f"scene    {train['scene']}, {test['views']} held-out views, {test['background']} background"
    yield f"method   {train['method']}, {train['steps']:,} steps on {device}"
    yield f"result   PSNR {test['psnr']:.2f} dB, SSIM {test.get('ssim', float('nan')):.3f}{depth}"
    timings = read_timings()
    seconds = ", ".join(f"{name} {timings[name]:.0f}" for name in STAGES if name in timings)
    yield f"seconds  {seconds or 'unknown'} (when each stage last ran here)"
    yield f"look at  {ORBIT}, {ORBIT_DEPTH}, {VIEWS}/"


def read_metrics(name: str, needed: tuple[str, ...]) -> dict[str, Any]:
    """The content of metrics/NAME.json under its outer key NAME.

    Raises NerfpipeError if the file is missing, damaged or lacks one of the keys.
    """
    file = METRICS / f"{name}.json"
    try:
        with open_regular(file) as stream:
            metrics = json.load(stream)[name]
        if not set(needed) <= metrics.keys():
            raise KeyError(needed)
        return metrics
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro` first") from None
    except (ValueError, KeyError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro` again") from None

"""A run, read from its metrics, parameters and images."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

from nerfpipe.config.yaml_file import validate
from nerfpipe.config.yaml_reader import parse_yaml
from nerfpipe.project import paths
from nerfpipe.report.sources import WORKSPACE, Reader, open_source
from nerfpipe.runtime.addresses import without_secrets
from nerfpipe.runtime.errors import NerfpipeError

TRAIN, SPEED, TEST = (file.as_posix() for file in (paths.TRAIN_METRICS, paths.SPEED_METRICS, paths.TEST_METRICS))
HISTORY, CLOCK, VIEWS = (file.as_posix() for file in (paths.HISTORY_TABLE, paths.SPEED_TABLE, paths.VIEWS_TABLE))
LOCK = paths.LOCK_FILE.as_posix()
GIFS = {"colour": paths.ORBIT.as_posix(), "depth": paths.ORBIT_DEPTH.as_posix()}


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)  # a later version may write more keys


Metrics = TypeVar("Metrics", bound=_Metrics)


class Train(_Metrics):
    """metrics/train.json."""

    scene: str
    method: str
    psnr: float  # of the val views, dB
    steps: int
    weights: int | None = None


class Speed(_Metrics):
    """metrics/speed.json. Older runs have no such file, and some of its keys in metrics/train.json."""

    seconds: float | None = None
    rays_per_second: float | None = None
    device: str | None = None
    processor: str | None = None
    threads: int | None = None
    versions: dict[str, str] = {}


class Test(_Metrics):
    """metrics/test.json."""

    psnr: float
    ssim: float | None = None
    depth_error: float | None = None
    views: int
    background: str


@dataclass(frozen=True)
class Run:
    """One run, under the name the user gave."""

    name: str
    params: dict[str, Any]  # by dotted key, as its stages ran with them
    train: Train
    speed: Speed
    test: Test | None  # None if not evaluated yet
    history: pd.DataFrame  # step, loss, val_psnr, and seconds if known
    views: pd.DataFrame  # view, psnr: one row per test view
    read: Reader
    missing: set[str] = field(default_factory=set)  # folders of images that could not be read

    def picture(self, path: str) -> bytes | None:
        """The bytes of an image file; None, and a remark from then on, if it cannot be read."""
        try:
            return self.read(path)
        except Exception:  # every kind of remote has errors of its own, and the page does without the image
            self.missing.add(path.rpartition("/")[0])
            return None

    def sheet(self, view: int) -> bytes | None:
        """A test view's PNG: truth, render, error, depth."""
        return self.picture(paths.view_picture(view).as_posix())

    def remarks(self) -> list[str]:
        """What the run lacks, one sentence each; complete once the images have been read."""
        found = ["not evaluated yet"] if self.test is None else []
        if self.missing:
            folders = " and ".join(sorted(self.missing))
            if self.name == WORKSPACE:
                found.append(f"no pictures in {folders}; `dvc pull` or `dvc repro` brings them")
            else:
                remedy = "`dvc push` or `dvc exp push` them from where it ran"
                found.append(f"no pictures of {folders} in DVC's cache here or in a remote; {remedy}")
        return found


def read_run(name: str) -> Run:
    """The run of a revision, an experiment or the workspace.

    Raises NerfpipeError if there is no such run, or if one of its files is damaged.
    """
    read = open_source(name)
    train = read_metrics(name, read, TRAIN)
    history = read_table(name, read, HISTORY, ("step", "loss", "val_psnr"))
    if train is None or history is None:
        file = HISTORY if train else TRAIN
        remedy = "run `dvc repro` first" if name == WORKSPACE else "name a revision or experiment that has run"
        raise NerfpipeError(f"{file}: not found in {name}; {remedy}")
    clock = read_table(name, read, CLOCK, ("step", "seconds"))
    if clock is not None:
        untimed = history.drop(columns="seconds", errors="ignore")
        history = untimed.merge(clock[["step", "seconds"]], on="step", how="left")
    test = read_metrics(name, read, TEST)
    views = read_table(name, read, VIEWS, ("view", "psnr"))
    return Run(
        name=name,
        params=read_params(name, read),
        train=checked(name, TRAIN, Train, train),
        speed=checked(name, SPEED, Speed, train | (read_metrics(name, read, SPEED) or {})),
        test=None if test is None else checked(name, TEST, Test, test),
        history=history,
        views=pd.DataFrame({"view": [], "psnr": []}) if views is None else views,
        read=read,
    )


def damaged(name: str, file: str, fault: str) -> NerfpipeError:
    """The error of a run's damaged file."""
    remedy = "run `dvc repro` again" if name == WORKSPACE else "leave this run out, or run it again"
    return NerfpipeError(f"{file}: damaged in {name} ({fault}); {remedy}")


def read_if_present(read: Reader, file: str) -> bytes | None:
    """The bytes of a file; None if there is no such file."""
    try:
        return read(file)
    except FileNotFoundError:
        return None


def read_metrics(name: str, read: Reader, file: str) -> dict[str, Any] | None:
    """The content of metrics/KIND.json under its outer key KIND; None if there is no such file."""
    text = read_if_present(read, file)
    if text is None:
        return None
    try:
        metrics = json.loads(text)
    except ValueError:
        raise damaged(name, file, "not JSON") from None
    (key,) = file.removeprefix("metrics/").removesuffix(".json").split("/")
    if not isinstance(metrics, dict) or not isinstance(metrics.get(key), dict):
        raise damaged(name, file, f"no {key!r} in it")
    return metrics[key]


def checked(name: str, file: str, model: type[Metrics], content: dict[str, Any]) -> Metrics:
    """The validated metrics. Raises NerfpipeError if they are not as the model requires."""
    found, faults = validate(model, content)
    if found is None:
        raise damaged(name, file, faults[0])
    return found


def read_table(name: str, read: Reader, file: str, columns: tuple[str, ...]) -> pd.DataFrame | None:
    """A CSV file of numbers; None if there is no such file.

    Raises NerfpipeError unless it has these columns, integers in the first, and at least one row.
    """
    text = read_if_present(read, file)
    if text is None:
        return None
    try:
        table = pd.read_csv(io.BytesIO(text))
        missing = [column for column in columns if column not in table]
        if missing or table.empty:
            raise damaged(name, file, f"no column {missing[0]}" if missing else "no rows")
        if table[list(columns)].isna().any(axis=None):
            raise ValueError("missing values")
        return table.apply(pd.to_numeric).astype({columns[0]: int})
    except (ValueError, TypeError):
        raise damaged(name, file, "not a table of numbers") from None


def read_params(name: str, read: Reader) -> dict[str, Any]:
    """The parameters of the stages, by dotted key, from dvc.lock: params.yaml may have been edited since."""
    text = read_if_present(read, LOCK)
    if text is None:
        return {}
    try:
        stages = parse_yaml(text)["stages"].values()
        return {
            key: value for stage in stages for file in stage.get("params", {}).values() for key, value in flat(file)
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged(name, LOCK, "not what DVC writes") from None


def flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested mapping, by dotted key."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", shareable(value)


def shareable(value: Any) -> Any:
    """A value without the passwords and tokens of URLs in it: a page may be published."""
    if isinstance(value, list):
        return [shareable(item) for item in value]
    return without_secrets(value) if isinstance(value, str) else value


def differing(runs: list[Run]) -> list[str]:
    """Keys of the parameters that differ between runs that have them, in the order of the runs."""
    keys = dict.fromkeys(key for run in runs for key in run.params)
    return [key for key in keys if len({repr(run.params[key]) for run in runs if key in run.params}) > 1]

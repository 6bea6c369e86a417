"""The tables of the page: results and parameters, a row or a column per run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from nerfpipe.report.runs import Run, differing

MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """A result of one run; `best` marks the best of all runs."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Column:
    """One result, with a cell per run."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True)
class Row:
    """One parameter, with its value in each run."""

    name: str
    cells: list[str]
    differs: bool  # between the runs


def results(runs: list[Run]) -> list[Column]:
    """The table of results; the best number of a column is marked if all runs are of one scene."""
    changed = [key for key in differing(runs) if key not in ("scene", "method") and not of_catalogue(key, runs)]
    return [
        Column("test PSNR, dB", number_cells(runs, lambda run: run.test.psnr if run.test else None, "{:.2f}", max)),
        Column("SSIM", number_cells(runs, lambda run: run.test.ssim if run.test else None, "{:.4f}", max)),
        Column(
            "depth error", number_cells(runs, lambda run: run.test.depth_error if run.test else None, "{:.4f}", min)
        ),
        Column("method", [Cell(run.train.method) for run in runs]),
        Column("scene", [Cell(run.train.scene) for run in runs]),
        *(Column(key, [Cell(param(run, key)) for run in runs]) for key in changed),
        Column("steps", number_cells(runs, lambda run: run.train.steps, "{:,}")),
        Column("train seconds", number_cells(runs, lambda run: run.speed.seconds, "{:,.1f}", min)),
        Column("rays/s", number_cells(runs, lambda run: run.speed.rays_per_second, "{:,.0f}", max)),
        Column("weights", number_cells(runs, lambda run: run.train.weights, "{:,}")),
        Column("device", [Cell(run.speed.device or MISSING) for run in runs]),
    ]


def parameters(runs: list[Run]) -> list[Row]:
    """Every parameter of the runs, then the machine of each."""
    changed = set(differing(runs))
    keys = dict.fromkeys(key for run in runs for key in run.params)
    rows = [Row(key, [param(run, key) for run in runs], key in changed) for key in keys]
    machines = [machine(run) for run in runs]
    for key in dict.fromkeys(key for entries in machines for key in entries):
        cells = [entries.get(key, MISSING) for entries in machines]
        rows.append(Row(key, cells, len(set(cells)) > 1))
    return rows


def machine(run: Run) -> dict[str, str]:
    """The hardware and library versions of a run, by name."""
    known = {"device": run.speed.device, "processor": run.speed.processor, "threads": run.speed.threads}
    known |= run.speed.versions
    return {name: str(value) for name, value in known.items() if value is not None}


def param(run: Run, key: str) -> str:
    """A parameter's value, written as in params.yaml."""
    value = run.params.get(key, MISSING)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def of_catalogue(key: str, runs: list[Run]) -> bool:
    """Whether a parameter belongs to a scene's entry while the runs are of several scenes: it then differs anyway."""
    scenes = {run.train.scene for run in runs}
    return len(scenes) > 1 and key.split(".")[0] in scenes


def number_cells(
    runs: list[Run],
    number: Callable[[Run], float | None],
    form: str,
    best: Callable[[list[float]], float] | None = None,
) -> list[Cell]:
    """A cell per run; `best`, min or max, chooses the one to mark."""
    values = [number(run) for run in runs]
    known = [value for value in values if value is not None]
    comparable = len(set(known)) > 1 and len({run.train.scene for run in runs}) == 1
    winner = best(known) if best and comparable else None
    return [
        Cell(MISSING) if value is None else Cell(form.format(value), best=winner is not None and value == winner)
        for value in values
    ]

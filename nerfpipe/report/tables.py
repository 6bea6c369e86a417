"""The tables of the page: what the runs came to, and what they ran with."""

from __future__ import annotations

import json
from collections.abc import Callable

from nerfpipe.report.charts import look
from nerfpipe.report.runs import Run, differing
from nerfpipe.runtime.terminal import in_page

NOTHING = "–"
DASHED = {"solid": "", "dashed": ' stroke-dasharray="5 2"', "dotted": ' stroke-dasharray="1.5 2"'}


def swatch(index: int) -> str:
    """A short piece of a run's line, as it is drawn in the charts."""
    colour, dash = look(index)
    line = f'<line x1="0" y1="4" x2="20" y2="4" stroke="{colour}" stroke-width="3"{DASHED[dash]}/>'
    return f'<svg class="swatch" viewBox="0 0 20 8" aria-hidden="true">{line}</svg>'


def results(runs: list[Run]) -> str:
    """A row per run; the best of each number is bold where all runs are of one scene."""
    changed = [key for key in differing(runs) if key not in ("scene", "method") and not of_catalogue(key, runs)]
    columns: list[tuple[str, list[str]]] = [
        ("test PSNR, dB", numbers(runs, lambda run: run.test and run.test.psnr, "{:.2f}", max)),
        ("SSIM", numbers(runs, lambda run: run.test and run.test.ssim, "{:.4f}", max)),
        ("depth error", numbers(runs, lambda run: run.test and run.test.depth_error, "{:.4f}", min)),
        ("method", [in_page(run.train.method) for run in runs]),
        ("scene", [in_page(run.train.scene) for run in runs]),
        *((key, [param(run, key) for run in runs]) for key in changed),
        ("steps", numbers(runs, lambda run: run.train.steps, "{:,}")),
        ("train seconds", numbers(runs, lambda run: run.speed.seconds, "{:,.1f}", min)),
        ("rays/s", numbers(runs, lambda run: run.speed.rays_per_second, "{:,.0f}", max)),
        ("weights", numbers(runs, lambda run: run.train.weights, "{:,}")),
        ("device", [in_page(run.speed.device or NOTHING) for run in runs]),
    ]
    head = "".join(f"<th>{breakable(name)}</th>" for name, _ in columns)
    cells = ["".join(f"<td>{of_runs[index]}</td>" for _, of_runs in columns) for index in range(len(runs))]
    rows = [f"<tr><th>{swatch(i)} {in_page(run.name)}</th>{cells[i]}</tr>" for i, run in enumerate(runs)]
    return wide([f'<tr class="head"><th>run</th>{head}</tr>', *rows])


def breakable(name: str) -> str:
    """A heading that may be broken after a dot."""
    return in_page(name).replace(".", ".<wbr>")


def parameters(runs: list[Run]) -> str:
    """Every param and the machine, a column per run, rows that differ shaded; folded away."""
    keys = dict.fromkeys(key for run in runs for key in run.params)
    changed = set(differing(runs))
    rows = [row(key, [param(run, key) for run in runs], key in changed) for key in keys]
    machines = [machine(run) for run in runs]
    for key in dict.fromkeys(key for entries in machines for key in entries):
        cells = [in_page(entries.get(key, NOTHING)) for entries in machines]
        rows.append(row(key, cells, len(set(cells)) > 1))
    head = "".join(f"<th>{swatch(index)} {in_page(run.name)}</th>" for index, run in enumerate(runs))
    return f"<details>\n<summary>All parameters</summary>\n{wide([f'<tr><th></th>{head}</tr>', *rows])}\n</details>"


def machine(run: Run) -> dict[str, str]:
    """What it ran on, by name."""
    found = {"device": run.speed.device, "processor": run.speed.processor, "threads": run.speed.threads}
    found |= run.speed.versions
    return {name: str(value) for name, value in found.items() if value is not None}


def row(name: str, cells: list[str], differs: bool) -> str:
    mark = ' class="differs"' if differs else ""
    return f"<tr{mark}><th>{in_page(name)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def wide(rows: list[str]) -> str:
    """A table that scrolls sideways by itself where the page is narrow."""
    return '<div class="wide"><table>\n' + "\n".join(rows) + "\n</table></div>"


def param(run: Run, key: str) -> str:
    """A param's value as params.yaml has it."""
    value = run.params.get(key, NOTHING)
    return in_page(value if isinstance(value, str) else json.dumps(value, default=str))


def of_catalogue(key: str, runs: list[Run]) -> bool:
    """Whether a param is of a scene's entry while the runs are of several scenes, which says enough."""
    scenes = {run.train.scene for run in runs}
    return len(scenes) > 1 and key.split(".")[0] in scenes


def numbers(
    runs: list[Run],
    number: Callable[[Run], float | None],
    form: str,
    best: Callable[[list[float]], float] | None = None,
) -> list[str]:
    """A cell per run; `best` (min or max) says which is bold."""
    values = [number(run) for run in runs]
    known = [value for value in values if value is not None]
    comparable = best and len(set(known)) > 1 and len({run.train.scene for run in runs}) == 1
    winner = best(known) if best and comparable else None
    texts = [NOTHING if value is None else form.format(value) for value in values]
    return [
        f"<b>{text}</b>" if winner is not None and value == winner else text
        for value, text in zip(values, texts, strict=True)
    ]

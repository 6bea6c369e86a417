"""The page: HTML with everything inside it and no script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pandas as pd

from nerfpipe import __version__
from nerfpipe.report.charts import Curve, dot_chart, line_chart
from nerfpipe.report.runs import GIFS, Run
from nerfpipe.report.style import STYLE
from nerfpipe.report.tables import parameters, results, swatch
from nerfpipe.runtime.terminal import in_page


def page(runs: list[Run]) -> str:
    """The HTML of a run or of several."""
    pictures = [section for scene in scenes(runs) for section in held_out(runs, scene)] + turns(runs)
    parts = [heading(runs), results(runs), *remarks(runs), *curves(runs), *pictures, parameters(runs), footer()]
    title = in_page(f"nerfpipe: {', '.join(run.name for run in runs)}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n{STYLE}\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def scenes(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.train.scene for run in runs))


def heading(runs: list[Run]) -> str:
    methods = dict.fromkeys(run.train.method for run in runs)
    count = "" if len(runs) == 1 else f"{len(runs)} runs: "
    return f"<h1>{in_page(count + ', '.join(scenes(runs)) + ' with ' + ', '.join(methods))}</h1>"


def remarks(runs: list[Run]) -> list[str]:
    """What is missing of a run. Pictures are found missing when they are read, so this comes after them."""
    return [f'<p class="remark">{in_page(f"{run.name}: {text}")}</p>' for run in runs for text in run.remarks()]


def curves(runs: list[Run]) -> list[str]:
    """Loss and val PSNR against step and against seconds, and PSNR per test view."""
    timed = all("seconds" in run.history for run in runs)
    axes = [("step", "step")] + ([("seconds", "seconds of training")] if timed else [])
    charts = []
    for x, label in axes:
        charts.append(figure_of(f"Loss against {x}", line_chart, label, "loss", history(runs, x, "loss"), log=True))
        charts.append(figure_of(f"Val PSNR against {x}", line_chart, label, "PSNR, dB", history(runs, x, "val_psnr")))
    views = [Curve(index, run.views["view"], run.views["psnr"]) for index, run in enumerate(runs) if len(run.views)]
    if views:
        charts.append(figure_of("PSNR of each test view", dot_chart, "view", "PSNR, dB", views))
    untimed = [] if timed else ['<p class="remark">No curves against seconds: not every run here noted them.</p>']
    return ["<h2>Curves</h2>", legend(runs), '<div class="grid charts">', *charts, "</div>", *untimed]


def history(runs: list[Run], x: str, y: str) -> list[Curve]:
    return [Curve(index, run.history[x], run.history[y]) for index, run in enumerate(runs)]


def legend(runs: list[Run]) -> str:
    if len(runs) == 1:
        return ""
    entries = "".join(f"<span>{swatch(index)} {in_page(run.name)}</span>" for index, run in enumerate(runs))
    return f'<p class="legend">{entries}</p>'


def figure_of(title: str, draw: Callable[..., str], *arguments: object, **options: object) -> str:
    """A chart under its title, by one of the functions of `charts`."""
    svg = draw(title, *arguments, **options)
    return f'<figure class="chart"><figcaption>{in_page(title)}</figcaption>{svg}</figure>'


def held_out(runs: list[Run], scene: str) -> list[str]:
    """Best, median and worst test view of a scene by its first run, as every run of it shows them."""
    of_scene = [(index, run) for index, run in enumerate(runs) if run.train.scene == scene and len(run.views)]
    if not of_scene:
        return []
    chosen = choose_views(of_scene[0][1].views)
    of_which = f" of {scene}" if len(scenes(runs)) > 1 else ""
    by_whom = f", by the PSNR of {of_scene[0][1].name}" if len(of_scene) > 1 else ""
    sections = [
        f"<h2>Held-out views{in_page(of_which)}</h2>",
        f"<p>Truth | render | error | depth{in_page(by_whom)}</p>",
    ]
    for word, view in chosen.items():
        sheets = [sheet(runs, index, run, view) for index, run in of_scene]
        if any(sheets):
            sections += [f"<h3>{word}: view {view}</h3>", f'<div class="grid">{"".join(sheets)}</div>']
    return sections if len(sections) > 2 else []


def choose_views(views: pd.DataFrame) -> dict[str, int]:
    """Test views by what they are called: best, median and worst, or fewer where there are not three."""
    ordered = views.sort_values(["psnr", "view"], ascending=False)["view"].tolist()
    chosen = {"Best": ordered[0]}
    if len(ordered) > 2:
        chosen["Median"] = ordered[len(ordered) // 2]
    if len(ordered) > 1:
        chosen["Worst"] = ordered[-1]
    return chosen


def sheet(runs: list[Run], index: int, run: Run, view: int) -> str:
    """A run's sheet of a view with its PSNR, or nothing where it has none."""
    rows = run.views[run.views["view"] == view]
    content = run.sheet(view) if len(rows) else None
    if content is None:
        return ""
    caption = f"{swatch(index)} {in_page(run.name)}: " if len(runs) > 1 else ""
    alt = in_page(f"view {view} of {run.name}: truth, render, error, depth")
    caption = f"<figcaption>{caption}{rows['psnr'].iloc[0]:.2f} dB</figcaption>"
    return f'<figure class="sheet"><img src="{data_uri(content)}" alt="{alt}">{caption}</figure>'


def turns(runs: list[Run]) -> list[str]:
    """The turn around the scene and its depth, of every run."""
    figures = []
    for index, run in enumerate(runs):
        found = {kind: run.picture(path) for kind, path in GIFS.items()}
        alt = in_page(f"a turn around {run.train.scene}, by {run.name}: ")
        images = [
            f'<img src="{data_uri(content)}" alt="{alt}{kind}">'
            for kind, content in found.items()
            if content is not None
        ]
        if images:
            caption = f"<figcaption>{swatch(index)} {in_page(run.name)}</figcaption>" if len(runs) > 1 else ""
            figures.append(f'<figure><div class="pair">{"".join(images)}</div>{caption}</figure>')
    return ["<h2>A turn around the scene</h2>", f'<div class="turns">{"".join(figures)}</div>'] if figures else []


def data_uri(content: bytes) -> str:
    kind = "gif" if content.startswith(b"GIF") else "png"
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def footer() -> str:
    return f"<footer>Made by nerfpipe {in_page(__version__)}. This file holds all that it shows.</footer>"

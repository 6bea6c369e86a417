"""The page: HTML with everything inside it and no script, from the template beside this module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nerfpipe import __version__
from nerfpipe.report.charts import Curve, dot_chart, line_chart, line_style
from nerfpipe.report.images import held_out_views, scenes, turns
from nerfpipe.report.runs import Run
from nerfpipe.report.tables import parameters, results
from nerfpipe.runtime.terminal import in_page

TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class Chart:
    """A chart and its caption."""

    title: str
    svg: Markup


def page(runs: list[Run]) -> str:
    """The HTML of a run or of several."""
    values = {
        "title": f"nerfpipe: {', '.join(run.name for run in runs)}",
        "heading": heading(runs),
        "runs": runs,
        "results": results(runs),
        "charts": charts(runs),
        "timed": timed(runs),
        "held_out": held_out_views(runs),
        "turns": turns(runs),
        "parameters": parameters(runs),
        "version": __version__,
    }
    values["remarks"] = [f"{run.name}: {text}" for run in runs for text in run.remarks()]  # all images have been read
    return environment().get_template(TEMPLATE).render(values, line_style=line_style)


def environment() -> Environment:
    """Jinja2 with the templates of this package: values are escaped, and a missing one is an error."""
    return Environment(
        loader=PackageLoader("nerfpipe.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def shown(value: object) -> Markup:
    """A value as the page prints it. Escaping alone would leave control characters and half surrogates in it."""
    return value if isinstance(value, Markup) else Markup(in_page(value))


def heading(runs: list[Run]) -> str:
    """Scenes and methods of the runs, in one line."""
    methods = dict.fromkeys(run.train.method for run in runs)
    count = "" if len(runs) == 1 else f"{len(runs)} runs: "
    return f"{count}{', '.join(scenes(runs))} with {', '.join(methods)}"


def timed(runs: list[Run]) -> bool:
    """Whether the seconds of training are known for every run."""
    return all("seconds" in run.history for run in runs)


def charts(runs: list[Run]) -> list[Chart]:
    """Loss and val PSNR against step and, if known, against seconds; PSNR of each test view."""
    axes = {"step": "step"} | ({"seconds": "seconds of training"} if timed(runs) else {})
    found = []
    for x, label in axes.items():
        found.append(chart(f"Loss against {x}", line_chart, label, "loss", history(runs, x, "loss"), log=True))
        found.append(chart(f"Val PSNR against {x}", line_chart, label, "PSNR, dB", history(runs, x, "val_psnr")))
    views = [Curve(index, run.views["view"], run.views["psnr"]) for index, run in enumerate(runs) if len(run.views)]
    if views:
        found.append(chart("PSNR of each test view", dot_chart, "view", "PSNR, dB", views))
    return found


def history(runs: list[Run], x: str, y: str) -> list[Curve]:
    """A column of every run's history against another."""
    return [Curve(index, run.history[x], run.history[y]) for index, run in enumerate(runs)]


def chart(title: str, draw: Callable[..., str], *arguments: object, **options: object) -> Chart:
    """A chart drawn by one of the functions of `charts`."""
    return Chart(title, Markup(draw(title, *arguments, **options)))

"""The images of the page: sheets of held-out views, and turns around the scene."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from nerfpipe.report.runs import GIFS, Run


@dataclass(frozen=True)
class Sheet:
    """A test view of one run: truth, render, error and depth side by side."""

    index: int  # of the run on the page
    run: str
    image: Markup  # data URI
    psnr: str  # dB


@dataclass(frozen=True)
class ViewRow:
    """One test view, by every run that has it."""

    rank: str  # Best, Median or Worst
    view: int
    sheets: list[Sheet]


@dataclass(frozen=True)
class HeldOut:
    """The chosen test views of one scene."""

    name: str | None  # the scene's; None if the page has only one
    ranked_by: str | None  # the run whose PSNR chose the views; None if the scene has only one
    rows: list[ViewRow]


@dataclass(frozen=True)
class Turn:
    """A run's turn around its scene: data URIs by kind, colour and depth."""

    index: int
    run: str
    scene: str
    images: dict[str, Markup]


def scenes(runs: list[Run]) -> list[str]:
    """The scenes of the runs, in the order of the runs."""
    return list(dict.fromkeys(run.train.scene for run in runs))


def held_out_views(runs: list[Run]) -> list[HeldOut]:
    """Best, median and worst test view of every scene, ranked by its first run and shown for all of its runs."""
    names = scenes(runs)
    found = []
    for scene in names:
        evaluated = [(i, run) for i, run in enumerate(runs) if run.train.scene == scene and len(run.views)]
        if not evaluated:
            continue
        first = evaluated[0][1]
        rows = [
            ViewRow(rank, view, [sheet for index, run in evaluated if (sheet := view_sheet(index, run, view))])
            for rank, view in choose_views(first.views).items()
        ]
        rows = [row for row in rows if row.sheets]
        if rows:
            name, ranked_by = scene if len(names) > 1 else None, first.name if len(evaluated) > 1 else None
            found.append(HeldOut(name, ranked_by, rows))
    return found


def choose_views(views: pd.DataFrame) -> dict[str, int]:
    """Test views by rank: best, median and worst, or fewer if there are not three."""
    ordered = views.sort_values(["psnr", "view"], ascending=False)["view"].tolist()
    chosen = {"Best": ordered[0]}
    if len(ordered) > 2:
        chosen["Median"] = ordered[len(ordered) // 2]
    if len(ordered) > 1:
        chosen["Worst"] = ordered[-1]
    return chosen


def view_sheet(index: int, run: Run, view: int) -> Sheet | None:
    """A run's sheet of a test view; None if the run has no such view or its image is missing."""
    rows = run.views[run.views["view"] == view]
    content = run.sheet(view) if len(rows) else None
    return None if content is None else Sheet(index, run.name, data_uri(content), f"{rows['psnr'].iloc[0]:.2f}")


def turns(runs: list[Run]) -> list[Turn]:
    """The turn around the scene and its depth, of every run that has either."""
    found = []
    for index, run in enumerate(runs):
        files = {kind: run.picture(path) for kind, path in GIFS.items()}
        images = {kind: data_uri(content) for kind, content in files.items() if content is not None}
        if images:
            found.append(Turn(index, run.name, run.train.scene, images))
    return found


def data_uri(content: bytes) -> Markup:
    """A GIF or PNG file as a data URI; markup, because base64 needs no escaping and must not be shortened."""
    kind = "gif" if content.startswith(b"GIF") else "png"
    return Markup(f"data:image/{kind};base64,{b64encode(content).decode('ascii')}")

"""Charts as SVG elements of a page: text in the page's own font and colour, no background."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

# Okabe and Ito's palette without black and yellow: distinct to the colour-blind, visible on white and on black.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
DASHES = ("solid", "dashed", "dotted")  # the first six runs are solid, the next six dashed, then six dotted
DASH_ARRAYS = {"solid": "", "dashed": "5 2", "dotted": "1.5 2"}  # the same for lines written as SVG
INK, GRID = "#010203", "#80808050"  # INK becomes the page's text colour
WIDTH, HEIGHT = 5.2, 3.2  # inches of 72 units, which the page scales
FEW_POINTS = 30  # with more, a line needs no dots


@dataclass(frozen=True)
class Curve:
    """One run's points, of which the finite ones are drawn; `index` is the run's position on the page."""

    index: int
    x: Sequence[float]
    y: Sequence[float]


def line_colour(index: int) -> str:
    """The colour of the run with this index."""
    return COLOURS[index % len(COLOURS)]


def line_dashes(index: int) -> str:
    """matplotlib's name for the dashes of the run with this index."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def line_style(index: int) -> tuple[str, str]:
    """Colour and SVG's stroke-dasharray, empty for a solid line, of the run with this index."""
    return line_colour(index), DASH_ARRAYS[line_dashes(index)]


def line_chart(title: str, x_label: str, y_label: str, curves: Sequence[Curve], log: bool = False) -> str:
    """Curves in one chart, as an <svg> element; `log` makes the y axis logarithmic if all values are positive."""
    figure, axes = new_axes(x_label, y_label)
    for curve in curves:
        colour, dashes = line_colour(curve.index), line_dashes(curve.index)
        dots = "o" if len(curve.x) <= FEW_POINTS else None
        axes.plot(curve.x, curve.y, color=colour, linestyle=dashes, linewidth=1.6, marker=dots, markersize=3)
    if log and all(np.nanmin(curve.y) > 0 for curve in curves):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    return to_svg(figure, title)


def dot_chart(title: str, x_label: str, y_label: str, curves: Sequence[Curve]) -> str:
    """Points over integers, as an <svg> element."""
    figure, axes = new_axes(x_label, y_label)
    for curve in curves:
        axes.plot(
            curve.x, curve.y, color=line_colour(curve.index), linestyle="none", marker="o", markersize=4, alpha=0.8
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return to_svg(figure, title)


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """An empty chart in the style of the page."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.grid(color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK)
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    return figure, axes


def to_svg(figure: Figure, title: str) -> str:
    """The figure as an <svg> element of HTML, reproducible to the byte."""
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # the date would change the bytes
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):  # ids unique on the page
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg, count=1
    )
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)  # would apply to the whole page
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # figure_1, line2d_3: nothing refers to these
    svg = re.sub(r"font-family: [^;\"]*; ?|font: [\d.]+px [^;\"]*; ?", "", svg)
    return svg.replace(INK, "currentColor")

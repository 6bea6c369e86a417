"""Curves as SVG that stands in a page: text in the page's own font and colour, no background."""

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

# Okabe and Ito's colours without black and yellow: told apart by the colour-blind, and seen on white and on black.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")
DASHES = ("solid", "dashed", "dotted")  # the next six runs are dashed, six more dotted
INK, GRID = "#010203", "#80808050"  # INK becomes the page's text colour
WIDTH, HEIGHT = 5.2, 3.2  # inches of 72 units, which the page scales
FEW_POINTS = 30  # with more, a line needs no dots


@dataclass(frozen=True)
class Curve:
    """One run's points, finite ones alone are drawn; `index` is its place among the runs."""

    index: int
    x: Sequence[float]
    y: Sequence[float]


def look(index: int) -> tuple[str, str]:
    """Colour and dashes of a run by its place."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def line_chart(title: str, x_label: str, y_label: str, curves: Sequence[Curve], log: bool = False) -> str:
    """Curves over each other, as an <svg> element; `log` makes the y axis logarithmic where all of it is positive."""
    figure, axes = new_axes(x_label, y_label)
    for curve in curves:
        colour, dash = look(curve.index)
        dots = "o" if len(curve.x) <= FEW_POINTS else None
        axes.plot(curve.x, curve.y, color=colour, linestyle=dash, linewidth=1.6, marker=dots, markersize=3)
    if log and all(np.nanmin(curve.y) > 0 for curve in curves):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(left=0)
    return to_svg(figure, title)


def dot_chart(title: str, x_label: str, y_label: str, curves: Sequence[Curve]) -> str:
    """Points over whole numbers, as an <svg> element."""
    figure, axes = new_axes(x_label, y_label)
    for curve in curves:
        axes.plot(curve.x, curve.y, color=look(curve.index)[0], linestyle="none", marker="o", markersize=4, alpha=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return to_svg(figure, title)


def new_axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
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
    """The figure as an element for HTML, the same bytes each time."""
    written = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # else it holds the hour
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):  # ids differ from chart to chart
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(
        r'<svg [^>]*viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', svg, count=1
    )
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.DOTALL)  # would hold for the whole page
    svg = re.sub(r' id="[\w.]+_\d+"', "", svg)  # figure_1, line2d_3: nothing refers to these
    svg = re.sub(r"font-family: [^;\"]*; ?|font: [\d.]+px [^;\"]*; ?", "", svg)
    return svg.replace(INK, "currentColor")

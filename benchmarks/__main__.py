"""`make bench`: the machine's limits, each kernel against its definition, and all methods side by side, in one run.

Real scenes are measured where NERFPIPE_DATA names the folder they lie in. Results go to benchmarks/results.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import torch
import yaml

from benchmarks.kernels import against_definitions, floor
from benchmarks.machine import limits, processor
from benchmarks.pipeline import pipeline
from benchmarks.scenes import BUILT_IN, available, bank
from benchmarks.train import params_with

RESULTS = Path("benchmarks/results")
SETTINGS = Path("benchmarks/settings.yaml")
LEVELS = (20, 25, 28, 30, 32)  # dB
MEMORY_GOAL, FRAME_GOAL = 2048, 1  # MiB, seconds


def main() -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    scenes, runs = available(), yaml.safe_load(SETTINGS.read_text())
    missing = [name for name in runs if name not in scenes]
    if missing:
        print(f"not measured: {', '.join(missing)}; set NERFPIPE_DATA to the folder that holds them", flush=True)
    for scene in scenes:
        bank(scene, RESULTS / "banks" / scene)
    lines = [head(), *machine_and_kernels()]
    print("\n".join(lines), flush=True)
    answers = [train(scene, run) for scene in scenes for run in runs[scene]]
    draw(answers)
    seconds, psnr, commands = pipeline()
    lines += ["", *methods_table(answers), "", *goals_table(answers), pipeline_line(seconds, psnr), "", *commands]
    (RESULTS / "summary.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines), flush=True)


def head() -> str:
    """Machine, date, commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    day = datetime.now(timezone.utc).date()
    return f"{processor()}; torch {torch.__version__}; {day}; commit {commit or 'unknown'}"


def machine_and_kernels() -> list[str]:
    """Limits, kernels against definitions, and the step against its floor, as Markdown."""
    params = params_with("ngp", {})
    found, step = against_definitions(params, bank(BUILT_IN, RESULTS / "banks" / BUILT_IN))
    rows = 2**params.ngp.field.log2_hashmap_size
    most = limits(rows)
    parts = floor(params, step, most)
    lines = ["", "| limit | measured |", "|---|---|"]
    lines += [f"| products, fp32, torch | {most['torch fp32'] / 1e9:.0f} GFLOP/s |"]
    lines += [f"| products, bf16, torch | {most['torch bf16'] / 1e9:.0f} GFLOP/s |"]
    lines += [f"| products, fp32, register tiles | {most['tiles'] / 1e9:.0f} GFLOP/s |"]
    lines += [f"| copying, read and written | {most['copy'] / 1e9:.1f} GB/s |"]
    lines += [f"| rows of 16 bytes at random, from {rows:,} | {most['lookups'] / 1e6:.0f} M/s |", ""]
    lines += ["| kernel | ms | plain torch, ms | times faster |", "|---|---|---|---|"]
    lines += [f"| {name} | {a * 1e3:.2f} | {b * 1e3:.1f} | {b / a:.1f} |" for name, (a, b) in found.items()]
    total = sum(parts.values())
    lines += [
        "",
        f"A step of {step['samples']:,.0f} samples on {step['rays']:,.0f} rays takes {step['seconds'] * 1e3:.1f} ms.",
    ]
    named = ", ".join(f"{name} {value * 1e3:.1f}" for name, value in parts.items())
    lines += [
        f"At the limits above it would take {total * 1e3:.1f} ms ({named}), {total / step['seconds']:.0%} of that."
    ]
    return lines


def train(scene: str, run: dict[str, Any]) -> dict[str, Any]:
    """One run, in a process of its own, so that its memory and threads are its own."""
    command = [sys.executable, "-m", "benchmarks.train", scene, json.dumps(run), str(RESULTS)]
    subprocess.run(command, check=True)
    return json.loads((RESULTS / f"{scene}_{run['method']}.json").read_text())


def seconds_to(answer: dict[str, Any], level: float) -> float | None:
    """Seconds of training until the held-out PSNR was first seen at `level` or above."""
    return next((point["seconds"] for point in answer["curve"] if point["psnr"] >= level), None)


def methods_table(answers: list[dict[str, Any]]) -> list[str]:
    """All methods side by side."""
    levels = " | ".join(f"{level} dB" for level in LEVELS)
    lines = [f"| scene | method | {levels} | best | samples/s | memory | frame | 800 x 800 |"]
    lines += ["|" + "---|" * (7 + len(LEVELS))]
    for answer in answers:
        times = [seconds_to(answer, level) for level in LEVELS]
        cells = ["-" if value is None else f"{value:.0f} s" for value in times]
        best = max(answer["curve"], key=lambda point: point["psnr"])
        large = f"{answer['frame_800']:.2f} s" if "frame_800" in answer else "-"
        cells += [f"{best['psnr']:.2f} dB, {best['seconds']:.0f} s", f"{answer['samples_per_second'] / 1e6:.2f} M"]
        cells += [f"{answer['memory_mib']} MiB", f"{answer['own_size']}²: {answer['frame_own']:.2f} s", large]
        lines.append(f"| {answer['scene']} | {answer['method']} | " + " | ".join(cells) + " |")
    return lines


def goals_table(answers: list[dict[str, Any]]) -> list[str]:
    """What was to be reached, and when it was."""
    lines = ["| scene | goal | reached |", "|---|---|---|"]
    for answer in answers:
        for level, seconds in answer["goals"].items():
            reached = seconds_to(answer, float(level))
            said = "not reached" if reached is None else f"{reached:.1f} s"
            lines.append(f"| {answer['scene']} | {level} dB in {seconds} s | {said} |")
        if answer["goals"]:
            lines.append(f"| {answer['scene']} | training in {MEMORY_GOAL} MiB | {answer['memory_mib']} MiB |")
            lines.append(f"| {answer['scene']} | 800 x 800 in {FRAME_GOAL} s | {answer['frame_800']:.2f} s |")
    by_run = {(answer["scene"], answer["method"]): answer for answer in answers}
    for scene in sorted({answer["scene"] for answer in answers}):
        slow, fast = by_run.get((scene, "tiny")), by_run.get((scene, "ngp"))
        if slow and fast:
            best = max(slow["curve"], key=lambda point: point["psnr"])
            reached = seconds_to(fast, best["psnr"])
            said = "not reached" if reached is None else f"{reached:.1f} s, {best['seconds'] / reached:.0f}x sooner"
            goal = f"{best['psnr']:.2f} dB, the best of tiny in {slow['seconds']:.0f} s (after {best['seconds']:.0f} s)"
            lines.append(f"| {scene} | {goal} | {said} |")
    return lines


def pipeline_line(seconds: float, psnr: float) -> str:
    """The goal of the pipeline as a whole, as a line of the table of goals."""
    return f"| {BUILT_IN} | `dvc repro` from nothing in 90 s, 32 dB | {seconds:.0f} s, {psnr:.2f} dB |"


def draw(answers: list[dict[str, Any]]) -> None:
    """PSNR against seconds, as CSV and PNG."""
    rows = [{"scene": a["scene"], "method": a["method"], **point} for a in answers for point in a["curve"]]
    pd.DataFrame(rows).to_csv(RESULTS / "curves.csv", index=False)
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for answer in answers:
        points = answer["curve"]
        style = {"ngp": "-", "tiny": "--", "nerf": ":"}[answer["method"]]
        label = f"{answer['scene']}, {answer['method']}"
        axes.plot([p["seconds"] for p in points], [p["psnr"] for p in points], style, marker=".", label=label)
    axes.set(xscale="log", xlabel="seconds of training, two cores", ylabel="PSNR of held-out views, dB")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(RESULTS / "curves.png", dpi=110)


if __name__ == "__main__":
    main()

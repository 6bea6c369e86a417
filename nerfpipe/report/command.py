"""`nerfpipe report`: read the runs, write the page."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.report.page import page
from nerfpipe.report.runs import read_run
from nerfpipe.runtime.files import atomic_file


def write_report(names: list[str], output: Path) -> list[str]:
    """Write the page of the named runs, each once; returns the lines to print.

    Raises NerfpipeError if a run does not exist or its metrics are damaged.
    """
    runs = [read_run(name) for name in dict.fromkeys(names)]
    html = page(runs)
    with atomic_file(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    size = output.stat().st_size / 1e6
    return [
        *(f"notice: {run.name}: {remark}" for run in runs for remark in run.remarks()),
        f"{output}: {', '.join(run.name for run in runs)}; {size:.1f} MB, nothing else is needed to read it",
    ]

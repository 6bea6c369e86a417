"""What `nerfpipe report` does."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.errors import NerfpipeError
from nerfpipe.files import atomic_file
from nerfpipe.report.page import page
from nerfpipe.report.runs import read_run


def write_report(names: list[str], output: Path) -> list[str]:
    """Write the page of the named runs; returns what there is to say about it, in lines."""
    runs = [read_run(name) for name in dict.fromkeys(names)]  # each once
    html = page(runs)
    with atomic_file(output) as temporary:
        temporary.write_text(html, encoding="utf-8")
    size = output.stat().st_size / 1e6
    return [
        *(f"notice: {run.name}: {remark}" for run in runs for remark in run.remarks()),
        f"{output}: {', '.join(run.name for run in runs)}; {size:.1f} MB, nothing else is needed to read it",
    ]


def check_free(output: Path, force: bool) -> None:
    """Raises NerfpipeError when the page would take the place of something unasked, or of a folder."""
    if output.is_dir():
        raise NerfpipeError(f"{output}: is a folder; name a file with --output")
    if output.exists() and not force:
        raise NerfpipeError(f"{output}: is there already; name another file with --output, or say --force")

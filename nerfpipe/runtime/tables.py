"""Rows as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nerfpipe.runtime.files import atomic_file


def write_table(path: Path, rows: list[dict[str, Any]], number: str = "%.6g") -> None:
    """Write rows with the same keys, whole or not at all; `number` is the format of floats."""
    import pandas as pd  # takes half a second to import

    with atomic_file(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format=number)

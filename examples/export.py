"""A new export: the density of a trained model on a regular grid, as .npz in the data's own coordinates.

    python examples/export.py [field.safetensors] [density.npz]

In the repository this is a module in `export/`, options in `export/options.py` and a command in `export/command.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field

from nerfpipe.config.defaults import RUNTIME
from nerfpipe.config.options import checked
from nerfpipe.config.yaml_file import Section
from nerfpipe.export.options import check_output
from nerfpipe.export.views import LoadedField
from nerfpipe.project.paths import MODEL
from nerfpipe.runtime.errors import NerfpipeError, one_line_errors
from nerfpipe.runtime.files import atomic_file
from nerfpipe.runtime.terminal import say


class GridOptions(Section):
    """1. The options: checked, with bounds on both sides, before anything is loaded."""

    resolution: Annotated[int, Field(ge=2, le=512)] = 48  # points along each axis


def export_density(field: LoadedField, options: GridOptions, output: Path) -> Iterator[str]:
    """2. The export: write the grid, and yield the lines to print. Raises NerfpipeError if all of it is empty.

    The file holds density [X, Y, Z], per unit of the data, and points [X, Y, Z, 3] in the data's coordinates.
    """
    space, similarity = field.header.space, field.header.similarity
    lower, upper = torch.tensor(space.inner)  # [3] each, in the coordinates of the space
    axes = [torch.linspace(float(low), float(high), options.resolution) for low, high in zip(lower, upper, strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)  # [X, Y, Z, 3]
    points = space.to_world(grid.reshape(-1, 3))  # [P, 3], scene units
    density = field.query.density(points).reshape(grid.shape[:3])  # [X, Y, Z], per scene unit
    if not density.any():
        raise NerfpipeError("the model is empty within its bounds: nothing was written")
    with atomic_file(output) as temporary, temporary.open("wb") as stream:  # whole or not at all
        np.savez_compressed(
            stream,
            density=density.numpy() * similarity.scale,  # a length in scene units is `scale` lengths of the data
            points=similarity.original(points.double().numpy()).reshape(*grid.shape[:3], 3),
        )
    yield f"{output}: density at {density.numel():,} points, up to {float(density.max()) * similarity.scale:.4g}"
    yield f"  {int((density > 0).sum()):,} of them above 0"


def main() -> None:
    """3. The command: every fault is one line, and nothing is loaded before the options are checked."""
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("density.npz")
    with one_line_errors():
        check_output(output, (".npz",), force=True)
        options = checked(GridOptions)
        for line in export_density(LoadedField.load(model, RUNTIME), options, output):
            say(line)


if __name__ == "__main__":
    main()

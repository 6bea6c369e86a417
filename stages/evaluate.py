"""Stage 4: measure on the test split. data/model, data/rays -> metrics/test.json, metrics/views.csv, data/views."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.checkpoint import forget_finished
from nerfpipe.config import load_params
from nerfpipe.evaluation import DIGITS, evaluate_view, summarise
from nerfpipe.files import atomic_folder, write_json
from nerfpipe.media import write_png
from nerfpipe.modelfile import load_model
from nerfpipe.progress import Progress
from nerfpipe.raybank import RayBank
from nerfpipe.rays import Extent
from nerfpipe.renderer import Renderer
from nerfpipe.runtime import set_up
from nerfpipe.stage import stage
from nerfpipe.tables import write_table
from nerfpipe.terminal import say

RAYS, MODEL, VIEWS = Path("data/rays"), Path("data/model/field.safetensors"), Path("data/views")
METRICS, TABLE = Path("metrics/test.json"), Path("metrics/views.csv")


def main() -> None:
    params = load_params()
    device = set_up(params.runtime)
    bank = RayBank(RAYS)
    model, about = load_model(MODEL)
    renderer = Renderer(model, device, params.runtime, about.bf16)
    rows, extent = [], Extent()
    views = [int(view) for view in bank.splits["test"]]
    for view in views:
        extent.include(bank.view(view))  # one range of depths, so that colours mean the same in every view
    with atomic_folder(VIEWS) as folder, Progress("evaluate", len(views), "views") as progress:
        for view in views:
            row, sheet = evaluate_view(renderer, bank, view, params.evaluate.error_scale, extent)
            rows.append(row)
            write_png(folder / f"test_{view:03d}.png", sheet)
            progress.advance(notes=f"{row['psnr']:.2f} dB")
    write_table(TABLE, rows, f"%.{DIGITS}f")
    test = summarise(rows)
    write_json(METRICS, {"test": {**test, "views": len(rows), "background": bank.about.background}})
    forget_finished()
    say(f"{about.scene}, {about.method}: " + ", ".join(f"{name} {value:g}" for name, value in test.items()))


if __name__ == "__main__":
    with stage("evaluate"):
        main()

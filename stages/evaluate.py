"""Stage 4: measure on the test split. data/model, data/rays -> metrics/test.json, metrics/views.csv, data/views."""

from __future__ import annotations

from nerfpipe.config.params import load_params
from nerfpipe.evaluation.evaluate import DIGITS, evaluate_view, summarise
from nerfpipe.images.write import write_png
from nerfpipe.models.model_file import load_model
from nerfpipe.models.set_up import give_threads, set_up
from nerfpipe.project.paths import MODEL, RAYS, TEST_METRICS, VIEWS, VIEWS_TABLE, view_picture
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.runtime.checkpoint import forget_finished
from nerfpipe.runtime.files import atomic_folder, write_json
from nerfpipe.runtime.progress import Progress
from nerfpipe.runtime.stage import stage
from nerfpipe.runtime.tables import write_table
from nerfpipe.runtime.terminal import say


def main() -> None:
    params = load_params()
    device = set_up(params.runtime)
    bank = RayBank(RAYS)
    model, header = load_model(MODEL)
    give_threads(model, device)
    renderer = Renderer(model, device, params.runtime, header.bf16)
    rows, views = [], [int(view) for view in bank.splits["test"]]
    extent = bank.depth_range("test")  # one range of depths for the colours of all views
    with atomic_folder(VIEWS) as folder, Progress("evaluate", len(views), "views") as progress:
        for view in views:
            row, sheet = evaluate_view(renderer, bank, view, params.evaluate.error_scale, extent)
            rows.append(row)
            write_png(folder / view_picture(view).name, sheet)
            progress.advance(notes=f"{row['psnr']:.2f} dB")
    write_table(VIEWS_TABLE, rows, f"%.{DIGITS}f")
    test = summarise(rows)
    write_json(TEST_METRICS, {"test": {**test, "views": len(rows), "background": bank.header.background}})
    forget_finished()
    say(f"{header.scene}, {header.method}: " + ", ".join(f"{name} {value:g}" for name, value in test.items()))


if __name__ == "__main__":
    with stage("evaluate"):
        main()

"""Stage 3: fit the field to the train rays. data/rays -> data/model/field.safetensors, metrics."""

from __future__ import annotations

import platform
import shutil

import torch

from nerfpipe import __version__
from nerfpipe.config.memory import check_memory
from nerfpipe.config.params import load_params
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import save_model
from nerfpipe.models.registry import build_model
from nerfpipe.models.set_up import give_threads, set_up
from nerfpipe.ops import dispatch
from nerfpipe.project.paths import (
    HISTORY_TABLE,
    MODEL,
    PREVIEWS,
    RAYS,
    SPEED_METRICS,
    SPEED_TABLE,
    TRAIN_METRICS,
)
from nerfpipe.project.pipeline import stage_code
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import Checkpoint, fingerprint, runs_folder
from nerfpipe.runtime.device import has_bf16, processor
from nerfpipe.runtime.files import WORKSPACE, atomic_folder, write_json
from nerfpipe.runtime.stage import stage
from nerfpipe.runtime.tables import write_table
from nerfpipe.runtime.terminal import say
from nerfpipe.training.header import describe_model
from nerfpipe.training.trainer import Row, Trainer


def main() -> None:
    params = load_params()
    check_memory(params)
    device = set_up(params.runtime)
    bank = RayBank(RAYS)
    model = build_model(params.recipe, params.seed, bank.space)
    give_threads(model, device)
    in_kernels = model.uses_kernels(device)
    decides = {"seed": params.seed, "method": params.method, "kernels": in_kernels, **params.recipe.model_dump()}
    run = runs_folder() / fingerprint(decides, RAYS, stage_code("train"))
    if in_kernels:
        dispatch.compile_kernels()  # or load: seconds that do not count as training
    with Checkpoint(run, workspace=WORKSPACE) as checkpoint:
        trainer = Trainer(model, bank, params, device, checkpoint)
        say(
            f"train {params.method} on {bank.header.scene}: {model.weights:,} weights, "
            f"{how_it_runs(model, device, params.recipe.train.bf16)}; previews in {checkpoint.previews}"
        )
        trainer.run(report=lambda row: write_metrics(trainer, row, device))
        save_model(MODEL, model, describe_model(params, bank))
        with atomic_folder(PREVIEWS) as folder:
            shutil.copytree(checkpoint.previews, folder, dirs_exist_ok=True)
        checkpoint.finish()
    for line in model.advice():
        say(f"warning: {line}", aside=True)
    say(f"val {trainer.history[-1].val_psnr:.2f} dB after {trainer.at.seconds:.0f} s of training")


def how_it_runs(model: Model, device: torch.device, bf16: bool) -> str:
    """Device, threads and precision, in words."""
    if model.uses_kernels(device):
        return f"{device} kernels ({dispatch.threads()} threads), float32"
    precision = "bfloat16" if bf16 and has_bf16(device) else "float32"
    return f"{device} ({torch.get_num_threads()} threads), MLPs in {precision}"


def write_metrics(trainer: Trainer, row: Row, device: torch.device) -> None:
    """Write history and metrics anew after each row, so that `dvc exp show` follows a run.

    What the clock says has files of its own: the others are the same in every run.
    """
    rows = trainer.history
    write_table(HISTORY_TABLE, [row.learned() for row in rows])
    write_table(SPEED_TABLE, [row.speed() for row in rows])
    train = {
        "scene": trainer.bank.header.scene,
        "method": trainer.params.method,
        "psnr": round(row.val_psnr, 3),
        "steps": row.step,
        "weights": trainer.model.weights,
    }
    speed = {
        "seconds": round(row.seconds, 1),
        "rays_per_second": round(trainer.at.rays / row.seconds),
        "device": str(device),
        "processor": processor(device),
        "threads": torch.get_num_threads() if not trainer.model.uses_kernels(device) else dispatch.threads(),
        "versions": {"nerfpipe": __version__, "python": platform.python_version(), "torch": torch.__version__},
    }
    write_json(TRAIN_METRICS, {"train": train})
    write_json(SPEED_METRICS, {"speed": speed})


if __name__ == "__main__":
    with stage("train"):
        main()

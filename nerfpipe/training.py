"""The training loop: the same for every method."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nerfpipe import __version__
from nerfpipe.batches import Batch, draw_batch
from nerfpipe.checkpoint import Checkpoint
from nerfpipe.config import Params
from nerfpipe.device import block_rays
from nerfpipe.errors import NerfpipeError
from nerfpipe.interrupt import StopRequest
from nerfpipe.media import to_8bit, write_png
from nerfpipe.methods import Model
from nerfpipe.metrics import mse_to_psnr, psnr
from nerfpipe.modelfile import ModelAbout
from nerfpipe.progress import Progress
from nerfpipe.raybank import RayBank
from nerfpipe.renderer import Renderer, render_rays
from nerfpipe.scenes.bounds import nearest_point
from nerfpipe.volume import over

EVEN = 1e-3  # densities of a batch that differ by less than this share of the highest are one and the same
UNSEEN = 1e-3  # opacity below which nothing is seen
COLLAPSE_STEPS = 50  # so many batches in a row that are even, or in which nothing is seen, are a collapse


@dataclass
class Row:
    """A line of metrics/history.csv: means over the steps since the line before, and val PSNR (dB) at its end."""

    step: int
    seconds: float  # spent in training steps alone
    loss: float
    train_psnr: float
    val_psnr: float
    learning_rate: float
    rays_per_second: float


@dataclass
class Progression:
    """How far a training is: all that a checkpoint holds besides tensors."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0  # over the steps since the last row, as are the next two
    mse_sum: float = 0.0
    row_seconds: float = 0.0


class Trainer:
    """Fits a model to the train rays of a bank, with checkpoints, and calls `report` after every row of history."""

    def __init__(
        self, model: Model, bank: RayBank, params: Params, device: torch.device, checkpoint: Checkpoint
    ) -> None:
        self.bank, self.params, self.settings = bank, params, params.recipe.train
        self.device, self.checkpoint = device, checkpoint
        self.model = model.to(device)  # before the optimiser takes hold of its weights
        self.renderer = Renderer(self.model, device, params.runtime, self.settings.bf16)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=self.settings.lr, fused=device.type != "mps")
        self.block = block_rays(params.runtime, device, model.samples_per_ray)
        self.at = Progression()
        self.history: list[Row] = []
        self._lifeless = 0  # steps in a row in which a pass was even or unseen

    def run(self, report: Callable[[Row], None]) -> None:
        """Train to the last step, from the checkpoint if there is one.

        Raises NerfpipeError when the training collapses, or when it is asked to stop (after saving).
        """
        self._resume()
        if self.history:
            report(self.history[-1])  # what was reported before the kill may be gone since
        steps = self.settings.steps
        saved = time.monotonic()
        with StopRequest() as stop, Progress(f"train {self.params.method}", steps, "steps", self.at.step) as progress:
            while self.at.step < steps:
                loss, mse = self._timed_step()
                progress.advance(notes=self._notes(loss, mse))
                if self.at.step % self.settings.validate_every == 0 or self.at.step == steps:
                    report(self._add_row())
                if stop.requested:
                    self._save()
                    raise NerfpipeError(
                        f"stopped at step {self.at.step} of {steps}, nothing lost; run the same command again to go on"
                    )
                if time.monotonic() - saved >= self.params.runtime.checkpoint_seconds:
                    self._save()
                    saved = time.monotonic()

    def _timed_step(self) -> tuple[float, float]:
        started = time.perf_counter()
        loss, mse, alive = self.step(self.at.step)
        spent = time.perf_counter() - started
        self._check_health(loss, alive)
        self.at.step += 1
        self.at.seconds += spent
        self.at.row_seconds += spent
        self.at.loss_sum += loss
        self.at.mse_sum += mse
        return loss, mse

    def step(self, step: int) -> tuple[float, float, bool]:
        """One optimiser step on batch `step`: the loss, the MSE of the picture, and whether every pass sees something.

        The gradient is summed over blocks of rays: the same gradient as all at once, in memory that fits a cache.
        """
        batch = draw_batch(self.bank, self.params.seed, step, self.settings.batch_rays, self.model.draws)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.zero_grad(set_to_none=True)
        results = [
            self._backward(batch[i : i + self.block].to(self.device), len(batch))
            for i in range(0, len(batch), self.block)
        ]
        self.optimizer.step()
        table = torch.stack(results).cpu()  # [blocks, 2 + 3·passes]
        loss, mse = table[:, :2].sum(dim=0).tolist()
        thinnest, densest, opacity = table[:, 2::3].amin(0), table[:, 3::3].amax(0), table[:, 4::3].amax(0)  # [passes]
        alive = (densest - thinnest > EVEN * densest) & (opacity > UNSEEN)
        return loss, mse, bool(alive.all())

    def _backward(self, block: Batch, batch_rays: int) -> Tensor:
        """Add a block's gradient; returns what `step` needs to know of it, [2 + 3·passes]:

        its share of the loss and of the picture's MSE, then of every pass lowest and highest density, highest opacity.
        """
        target = over(block.rays.target, block.background)  # [R, 3]
        passes = render_rays(self.model, block.rays, block.background, block.jitter, self.settings.bf16)
        errors = [((each.colour - target) ** 2).sum() / (3 * batch_rays) for each in passes]
        loss = torch.stack(errors).sum()
        loss.backward()
        signs = [sign for each in passes for sign in (each.density.min(), each.density.max(), each.opacity.max())]
        return torch.stack([loss, errors[-1], *signs]).detach()

    def learning_rate(self, step: int) -> float:
        """The rate of a step: from lr, exponentially, to lr_final at the last step."""
        done = step / max(1, self.settings.steps - 1)  # 0 at the first step, 1 at the last
        return self.settings.lr * (self.settings.lr_final / self.settings.lr) ** done

    def _check_health(self, loss: float, alive: bool) -> None:
        self._lifeless = 0 if alive else self._lifeless + 1
        name, step = self.params.method, self.at.step
        if not math.isfinite(loss):
            fault = f"the loss is {loss} at step {step}"
        elif self._lifeless >= COLLAPSE_STEPS:
            fault = f"{COLLAPSE_STEPS} steps up to {step} saw the same density everywhere, or nothing"
        else:
            return
        self.checkpoint.remove()  # it would only lead here again
        raise NerfpipeError(
            f"training collapsed: {fault}; try a lower {name}.train.lr, another seed, "
            f"{name}.field.density: softplus, or {name}.train.bf16: false"
        )

    def _add_row(self) -> Row:
        at, steps = self.at, self.at.step - (self.history[-1].step if self.history else 0)
        last = at.step == self.settings.steps
        views = self.bank.splits["val"][: None if last else self.settings.validate_views]
        pictures = [self._render(view) for view in views]
        row = Row(
            step=at.step,
            seconds=at.seconds,
            loss=at.loss_sum / steps,
            train_psnr=mse_to_psnr(at.mse_sum / steps),
            val_psnr=float(np.mean([psnr(*each) for each in pictures])),
            learning_rate=self.learning_rate(at.step - 1),
            rays_per_second=steps * self.settings.batch_rays / at.row_seconds,
        )
        self.history.append(row)
        at.loss_sum = at.mse_sum = at.row_seconds = 0.0
        picture, truth = pictures[0]
        write_png(self.checkpoint.previews / f"step_{at.step:06d}.png", np.concatenate([truth, picture], axis=1))
        return row

    def _render(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Picture and truth of a view, [H, W, 3] uint8."""
        camera, rays = self.bank.camera(view), self.bank.view(view)
        truth = over(rays.target, self.bank.background).reshape(camera.height, camera.width, 3)
        picture = self.renderer.view(rays, self.bank.background, camera.height, camera.width)
        return to_8bit(picture.colour), to_8bit(truth)

    def _notes(self, loss: float, mse: float) -> str:
        rate = self.at.step * self.settings.batch_rays / max(self.at.seconds, 1e-9)
        val = f", val {self.history[-1].val_psnr:.2f} dB" if self.history else ""
        return f"loss {loss:.5f}, batch {mse_to_psnr(mse):.2f} dB{val}, {rate / 1000:.1f}k rays/s"

    def _save(self) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": tensor for name, tensor in state.items()}
        state = {"at": asdict(self.at), "history": [asdict(row) for row in self.history]}
        self.checkpoint.save(tensors, state)

    def _resume(self) -> None:
        found = self.checkpoint.load()
        if found is None:
            return
        tensors, state = found
        self.model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
        adam: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            if name.startswith("adam."):
                _, number, key = name.split(".")
                adam.setdefault(int(number), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": adam, "param_groups": groups})
        self.at = Progression(**state["at"])
        self.history = [Row(**row) for row in state["history"]]
        print(f"going on from step {self.at.step}", flush=True)


def describe_model(params: Params, bank: RayBank) -> ModelAbout:
    """The header of a model trained with these params on this bank."""
    poses = np.array(bank.arrays["poses"][bank.splits["train"]], dtype=np.float64)  # [train views, 3, 4]
    positions = poses[:, :, 3]
    try:
        centre = nearest_point(positions, -poses[:, :, 2])
    except NerfpipeError:  # they look in parallel
        centre = bank.bounds.mean(dim=0).numpy()
    return ModelAbout(
        version=__version__,
        scene=bank.about.scene,
        method=params.method,
        settings=params.recipe.model_dump(),
        seed=params.seed,
        bounds=bank.about.bounds,
        background=bank.about.background,
        min_near=bank.about.min_near,
        camera=bank.cameras[0],
        centre=tuple(centre.tolist()),
        camera_distance=float(np.linalg.norm(positions - centre, axis=1).mean()),
    )

"""The training loop: the same for every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from nerfpipe.config.params import Params
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.images.convert import alpha_composite, to_8bit
from nerfpipe.images.metrics import mse_to_psnr, psnr
from nerfpipe.images.write import write_png
from nerfpipe.models.model import Model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.interrupt import StopRequest
from nerfpipe.runtime.progress import Progress
from nerfpipe.runtime.rng import random_stream
from nerfpipe.runtime.terminal import say
from nerfpipe.training.batch_size import first_batch, next_batch
from nerfpipe.training.step import StepResult, TrainingStep

LAST_LOOK = 2**18  # train rays from which a sampler learns what is seen
COLLAPSE_STEPS = 50  # collapsed steps in a row after which training stops


@dataclass
class Row:
    """How training went: means over the steps since the row before, and val PSNR (dB) at its end."""

    step: int
    loss: float
    train_psnr: float
    val_psnr: float
    learning_rate: float
    terms: dict[str, float]  # the loss by name
    seconds: float  # spent in training steps alone, from the first one on
    rays_per_second: float
    samples_per_second: float

    def learned(self) -> dict[str, float]:
        """The columns of metrics/history.csv: the same in every run."""
        columns = {name: getattr(self, name) for name in ("step", "loss", "train_psnr", "val_psnr", "learning_rate")}
        return columns | {f"loss_{name}": value for name, value in self.terms.items()}

    def speed(self) -> dict[str, float]:
        """The columns of metrics/speed.csv: what the clock said, another thing in every run."""
        return {name: getattr(self, name) for name in ("step", "seconds", "rays_per_second", "samples_per_second")}


@dataclass
class Sums:
    """Sums over several steps."""

    steps: int = 0
    seconds: float = 0.0
    loss: float = 0.0
    mse: float = 0.0
    rays: int = 0
    samples: int = 0
    terms: dict[str, float] = field(default_factory=dict)  # of the loss, by name

    def add(self, result: StepResult, seconds: float) -> None:
        """Add one step."""
        self.steps += 1
        self.seconds += seconds
        self.loss += result.loss
        self.mse += result.mse
        self.rays += result.rays
        self.samples += result.samples
        for name, value in result.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + value


@dataclass
class Progression:
    """How far a training is: all that a checkpoint holds besides tensors and history."""

    batch_rays: int  # of the next step
    step: int = 0
    rays: int = 0  # so far
    seconds: float = 0.0
    since_row: Sums = field(default_factory=lambda: Sums())  # over the steps since the last row


class Trainer:
    """Fits a model to the train rays of a bank, with checkpoints, and calls `report` after every row of history."""

    def __init__(
        self, model: Model, bank: RayBank, params: Params, device: torch.device, checkpoint: Checkpoint
    ) -> None:
        if len(bank.splits["train"]) < 2:
            raise NerfpipeError(
                f"scene {bank.header.scene}: one train view shows no depth; a radiance field needs several, or dozens"
            )
        self.bank, self.params, self.settings = bank, params, params.recipe.train
        self.checkpoint = checkpoint
        self.model = model.to(device)  # before the optimiser takes hold of its weights
        self.renderer = Renderer(self.model, device, params.runtime, self.settings.bf16)
        self.step = TrainingStep(self.model, bank, params, device)
        self.at = Progression(batch_rays=first_batch(self.settings, self.model))
        self.history: list[Row] = []
        self._collapsed_steps = 0  # steps in a row in which a pass was even or unseen

    def run(self, report: Callable[[Row], None]) -> None:
        """Train to the last step, from the checkpoint if there is one.

        Raises NerfpipeError when the training collapses, or when it is asked to stop (after saving).
        """
        self._resume()
        if self.history:
            report(self.history[-1])  # what was reported before the kill may be gone since
        steps = self.settings.steps
        saved, saved_step = time.monotonic(), self.at.step
        with StopRequest() as stop, Progress(f"train {self.params.method}", steps, "steps", self.at.step) as progress:
            while self.at.step < steps:
                result = self._timed_step()
                progress.advance(notes=self._notes(result))
                if self.at.step == steps:
                    self.model.after_training(self._train_rays())
                if self.at.step % self.settings.validate_every == 0 or self.at.step == steps:
                    report(self._add_row())
                if stop.requested:
                    self._save()
                    raise NerfpipeError(
                        f"stopped at step {self.at.step} of {steps}, nothing lost; run the same command again to go on"
                    )
                if time.monotonic() - saved >= self.params.runtime.checkpoint_seconds:
                    self._save()
                    saved, saved_step = time.monotonic(), self.at.step
        if saved_step < steps:
            self._save()

    def _timed_step(self) -> StepResult:
        at, started = self.at, time.perf_counter()
        result = self.step.take(at.step, at.batch_rays)
        spent = time.perf_counter() - started
        self._check_health(result)
        at.step += 1
        at.seconds += spent
        at.rays += result.rays
        at.batch_rays = next_batch(self.settings, result.rays, result.samples)
        at.since_row.add(result, spent)
        return result

    def _check_health(self, result: StepResult) -> None:
        self._collapsed_steps = self._collapsed_steps + 1 if result.collapsed else 0
        step, method = self.at.step, self.params.method
        if not result.finite:
            fault = f"the loss is {result.loss} at step {step}"
            remedy = f"try a lower {method}.train.lr, another seed, or {method}.train.bf16: false"
        elif self._collapsed_steps >= COLLAPSE_STEPS:
            fault = f"{COLLAPSE_STEPS} steps up to {step} saw the same density everywhere, or nothing"
            advice = [f"{method}.train.lr", *filter(None, [self.model.collapse_advice.format(method=method)])]
            remedy = (
                f"see with `nerfpipe doctor` whether the scene's bounds hold the object; else try a lower "
                f"{', '.join(advice)}, or another seed"
            )
        else:
            return
        self.checkpoint.remove()  # it would only lead here again
        raise NerfpipeError(f"training collapsed: {fault}; {remedy}")

    def _train_rays(self) -> Iterator[RayBatch]:
        """LAST_LOOK train rays, or as many as there are, drawn evenly, a chunk at a time."""
        count = min(LAST_LOOK, self.bank.train_rays)
        stream = random_stream(self.params.seed, self.settings.steps, "rays")
        drawn = stream.integers(0, self.bank.train_rays, count)
        with Progress("last look", count, "rays") as progress:
            for first in range(0, count, self.renderer.chunk):
                pixels = self.bank.train(drawn[first : first + self.renderer.chunk])
                yield self.bank.rays_of(pixels).to(self.renderer.device)
                progress.advance(len(pixels))

    def _add_row(self) -> Row:
        at, sums = self.at, self.at.since_row
        last = at.step == self.settings.steps
        views = self.bank.splits["val"][: None if last else self.settings.validate_views]
        pictures = [self._render(view) for view in views]
        row = Row(
            step=at.step,
            seconds=at.seconds,
            loss=sums.loss / sums.steps,
            train_psnr=mse_to_psnr(sums.mse / sums.steps),
            val_psnr=float(np.mean([psnr(picture[counted], truth[counted]) for picture, truth, counted in pictures])),
            learning_rate=self.step.learning_rate(at.step - 1),
            rays_per_second=sums.rays / sums.seconds,
            samples_per_second=sums.samples / sums.seconds,
            terms={name: value / sums.steps for name, value in sums.terms.items()},
        )
        self.history.append(row)
        at.since_row = Sums()
        picture, truth, _ = pictures[0]
        write_png(self.checkpoint.previews / f"step_{at.step:06d}.png", np.concatenate([truth, picture], axis=1))
        return row

    def _render(self, view: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Picture and truth of a view, [H, W, 3] uint8, and which pixels count, [H, W] bool."""
        camera, rays = self.bank.camera(view), self.bank.view(view)
        truth = alpha_composite(rays.target, self.bank.background).reshape(camera.height, camera.width, 3)
        picture = self.renderer.view(rays, self.bank.background, camera.height, camera.width)
        mask = self.bank.mask(view)
        counted = torch.ones(truth.shape[:2], dtype=torch.bool) if mask is None else mask.reshape(truth.shape[:2])
        return to_8bit(picture.colour), to_8bit(truth), counted.numpy()

    def _notes(self, result: StepResult) -> str:
        rate = self.at.rays / max(self.at.seconds, 1e-9)
        val = f", val {self.history[-1].val_psnr:.2f} dB" if self.history else ""
        return f"loss {result.loss:.5f}, batch {mse_to_psnr(result.mse):.2f} dB{val}, {rate / 1000:.1f}k rays/s"

    def _save(self) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for number, state in self.step.optimizer.state_dict()["state"].items():
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
        groups = self.step.optimizer.state_dict()["param_groups"]
        self.step.optimizer.load_state_dict({"state": adam, "param_groups": groups})
        self.at = Progression(**{**state["at"], "since_row": Sums(**state["at"]["since_row"])})
        self.history = [Row(**row) for row in state["history"]]
        say(f"going on from step {self.at.step} of {self.settings.steps}")

"""The training loop: it learns, it is exact, it resumes to the same bytes, and it says when it has collapsed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nerfpipe.batches import draw_batch
from nerfpipe.checkpoint import Checkpoint
from nerfpipe.config import Params
from nerfpipe.errors import NerfpipeError
from nerfpipe.methods import build_model
from nerfpipe.metrics import psnr
from nerfpipe.raybank import RayBank
from nerfpipe.training import Trainer, describe_model

QUICK = {
    "tiny.field.width": 32,
    "tiny.sampling.samples": 16,
    "tiny.train.steps": 6,
    "tiny.train.batch_rays": 64,
    "tiny.train.validate_every": 3,
    "nerf.field.width": 16,
    "nerf.sampling.coarse": 8,
    "nerf.sampling.fine": 8,
    "nerf.train.steps": 6,
    "nerf.train.batch_rays": 64,
    "nerf.train.validate_every": 3,
    "runtime.cpu_block": 300,  # several blocks a step, the last one smaller
    "runtime.checkpoint_seconds": 0,
}
CPU = torch.device("cpu")


@pytest.fixture
def make_trainer(tmp_path: Path, with_params: Callable[..., Params]) -> Callable[..., Trainer]:
    def make(bank: RayBank, run: str = "run", **changes: object) -> Trainer:
        params = with_params(**{**QUICK, **changes})
        checkpoint = Checkpoint(tmp_path / run, tmp_path / "workspace")
        return Trainer(build_model(params.recipe, params.seed), bank, params, CPU, checkpoint)

    return make


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class KilledError(Exception):
    """Stands for the process's end: nothing of the trainer survives it but its files."""


@pytest.mark.parametrize("method", ["tiny", "nerf"])
def test_a_killed_training_resumes_to_the_same_bytes(bank: RayBank, make_trainer, method: str) -> None:
    whole = make_trainer(bank, "whole", method=method)
    whole.run(report=lambda row: None)
    for kill_at in (1, 4, 5):
        killed = make_trainer(bank, f"killed-{kill_at}", method=method)
        step = killed.step

        def step_or_die(number: int, step=step, kill_at=kill_at):
            if number == kill_at:
                raise KilledError
            return step(number)

        killed.step = step_or_die
        with pytest.raises(KilledError):
            killed.run(report=lambda row: None)
        resumed = make_trainer(bank, f"killed-{kill_at}", method=method)
        resumed.run(report=lambda row: None)
        assert_same_weights(weights(resumed), weights(whole))
        columns = ["step", "loss", "train_psnr", "val_psnr", "learning_rate"]
        assert [[getattr(row, c) for c in columns] for row in resumed.history] == [
            [getattr(row, c) for c in columns] for row in whole.history
        ]


def test_killed_after_the_last_step_it_still_reports(bank: RayBank, make_trainer) -> None:
    finished = make_trainer(bank)
    finished.run(report=lambda row: None)  # checkpoint_seconds is 0: the last step was saved
    reported = []
    make_trainer(bank).run(report=reported.append)
    assert reported == finished.history[-1:]


@pytest.mark.parametrize("method", ["tiny", "nerf"])
def test_training_lowers_the_loss_and_learns_the_held_out_views(
    make_scene, build_bank, make_trainer, method: str
) -> None:
    changes = {
        f"{method}.train.steps": 100,
        f"{method}.train.validate_every": 10,
        f"{method}.train.lr": 5e-3,
        f"{method}.train.lr_final": 1e-3,
        f"{method}.train.batch_rays": 256,
        "tiny.field.frequencies": 3,
        "nerf.field.position_frequencies": 3,
        "nerf.field.width": 32,
        "runtime.cpu_block": 8192,
    }
    trainer = make_trainer(build_bank(make_scene(train=16)), method=method, **changes)
    trainer.run(report=lambda row: None)
    first, last = trainer.history[0], trainer.history[-1]
    assert last.step == 100
    assert last.loss < 0.5 * first.loss
    assert last.val_psnr > first.val_psnr + 3


def test_the_gradient_does_not_depend_on_the_block_size(bank: RayBank, make_trainer) -> None:
    gradients = []
    for block in (100, 10**6):
        trainer = make_trainer(bank, **{"runtime.cpu_block": block, "tiny.train.bf16": False})
        trainer.step(0)
        gradients.append([p.grad.clone() for p in trainer.model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_that_of_the_mean_squared_error_of_every_pass(bank: RayBank, make_trainer) -> None:
    from nerfpipe.renderer import render_rays
    from nerfpipe.volume import over

    trainer = make_trainer(bank, method="nerf", **{"nerf.train.bf16": False})
    batch = draw_batch(bank, 0, 0, 64, trainer.model.draws)
    passes = render_rays(trainer.model, batch.rays, batch.background, batch.jitter)
    target = over(batch.rays.target, batch.background)
    loss = sum(torch.nn.functional.mse_loss(each.colour, target) for each in passes)
    expected = torch.autograd.grad(loss, list(trainer.model.parameters()))
    reported, mse, _ = trainer.step(0)
    assert reported == pytest.approx(loss.item(), rel=1e-5)
    assert mse == pytest.approx(torch.nn.functional.mse_loss(passes[-1].colour, target).item(), rel=1e-5)
    for parameter, gradient in zip(trainer.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_the_learning_rate_falls_exponentially(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.lr": 1e-2, "tiny.train.lr_final": 1e-4, "tiny.train.steps": 101})
    assert trainer.learning_rate(0) == pytest.approx(1e-2)
    assert trainer.learning_rate(50) == pytest.approx(1e-3)
    assert trainer.learning_rate(100) == pytest.approx(1e-4)


def test_history_has_a_row_every_so_often_and_at_the_end(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.steps": 8, "tiny.train.validate_every": 3})
    reported = []
    trainer.run(report=reported.append)
    assert [row.step for row in trainer.history] == [3, 6, 8]
    assert reported == trainer.history
    pictures = [trainer._render(view) for view in bank.splits["val"]]
    assert trainer.history[-1].val_psnr == pytest.approx(sum(psnr(*each) for each in pictures) / len(pictures))
    assert len(list(trainer.checkpoint.previews.glob("*.png"))) == 3


def test_a_dead_density_stops_with_advice_and_leaves_no_checkpoint(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.steps": 200})
    with torch.no_grad():
        trainer.model.passes[0].field.head.bias[0] = -1e6  # ReLU: no density anywhere, and no gradient
    with pytest.raises(NerfpipeError, match=r"saw the same density everywhere, or nothing.*tiny\.train\.lr.*softplus"):
        trainer.run(report=lambda row: None)
    assert not trainer.checkpoint.file.exists()


@pytest.mark.parametrize("raw", [-12.0, 4.0], ids=["thin haze", "even fog"])
def test_haze_and_fog_are_collapses_too(bank: RayBank, make_trainer, raw: float) -> None:
    changes = {"method": "nerf", "nerf.train.steps": 200, "nerf.train.lr": 1e-9, "nerf.train.lr_final": 1e-9}
    trainer = make_trainer(bank, **changes)
    head = trainer.model.passes[0].field.density_head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(raw)
    with pytest.raises(NerfpipeError, match="saw the same density everywhere, or nothing"):
        trainer.run(report=lambda row: None)


def test_a_loss_that_is_not_a_number_stops_with_advice(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank)
    with torch.no_grad():
        trainer.model.passes[0].field.head.bias[1] = torch.nan
    with pytest.raises(NerfpipeError, match=r"the loss is nan at step 0; try a lower tiny\.train\.lr"):
        trainer.run(report=lambda row: None)


def test_asked_to_stop_it_saves_and_says_where(bank: RayBank, make_trainer) -> None:
    import os
    import signal

    trainer = make_trainer(bank, **{"runtime.checkpoint_seconds": 1e6})
    step = trainer.step

    def step_then_signal(number: int):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(number)

    trainer.step = step_then_signal
    with pytest.raises(NerfpipeError, match="stopped at step 3 of 6"):
        trainer.run(report=lambda row: None)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    resumed = make_trainer(bank)
    resumed.run(report=lambda row: None)
    whole = make_trainer(bank, "whole")
    whole.run(report=lambda row: None)
    assert_same_weights(weights(resumed), weights(whole))


def test_the_header_says_method_settings_and_scene(bank: RayBank, with_params) -> None:
    params = with_params(method="nerf")
    about = describe_model(params, bank)
    assert (about.method, about.scene) == ("nerf", "ball")
    assert about.settings == params.nerf.model_dump()
    assert about.camera_distance == pytest.approx(3.0, abs=0.01)

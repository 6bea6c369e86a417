"""The training loop: it learns, it is exact, it resumes to the same bytes, and it says when it has collapsed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nerfpipe.config.params import Params
from nerfpipe.images.metrics import psnr
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.scene import Scene
from nerfpipe.training.batch_size import first_batch
from nerfpipe.training.batches import draw_batch
from nerfpipe.training.header import describe_model
from nerfpipe.training.trainer import Trainer

QUICK = {
    "method": "tiny",
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
    "ngp.field.levels": 3,
    "ngp.field.base_resolution": 4,
    "ngp.field.max_resolution": 16,
    "ngp.field.log2_hashmap_size": 8,
    "ngp.field.width": 16,
    "ngp.sampling.steps": 32,
    "ngp.sampling.render_steps": 48,
    "ngp.sampling.grid": 8,
    "ngp.sampling.update_every": 2,
    "ngp.train.steps": 6,
    "ngp.train.batch_samples": 1000,
    "ngp.train.validate_every": 3,
    "runtime.cpu_chunk": 300,  # several blocks a step, the last one smaller
    "runtime.checkpoint_seconds": 0,
}
CPU = torch.device("cpu")


@pytest.fixture
def make_trainer(tmp_path: Path, with_params: Callable[..., Params]) -> Callable[..., Trainer]:
    def make(bank: RayBank, run: str = "run", **changes: object) -> Trainer:
        params = with_params(**{**QUICK, **changes})
        checkpoint = Checkpoint(tmp_path / run, tmp_path / "workspace")
        return Trainer(build_model(params.recipe, params.seed, bank.space), bank, params, CPU, checkpoint)

    return make


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def assert_same_weights(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class KilledError(Exception):
    """Stands for the process's end: nothing of the trainer survives it but its files."""


TWICE = {"ngp.sampling.resample": 6, "ngp.sampling.steps": 16, "ngp.sampling.render_steps": 16}  # two looks at a ray


@pytest.mark.parametrize(
    ("method", "changes"),
    [("tiny", {}), ("nerf", {}), ("ngp", {}), ("ngp", TWICE)],
    ids=["tiny", "nerf", "ngp", "ngp, resampled"],
)
def test_a_killed_training_resumes_to_the_same_bytes(
    bank: RayBank, make_trainer, method: str, changes: dict[str, int]
) -> None:
    whole = make_trainer(bank, "whole", method=method, **changes)
    whole.run(report=lambda row: None)
    for kill_at in (1, 4, 5):
        killed = make_trainer(bank, f"killed-{kill_at}", method=method, **changes)
        step = killed.step.take

        def step_or_die(number: int, rays: int, step=step, kill_at=kill_at):
            if number == kill_at:
                raise KilledError
            return step(number, rays)

        killed.step.take = step_or_die
        with pytest.raises(KilledError):
            killed.run(report=lambda row: None)
        resumed = make_trainer(bank, f"killed-{kill_at}", method=method, **changes)
        resumed.run(report=lambda row: None)
        assert_same_weights(weights(resumed), weights(whole))
        columns = ["step", "loss", "train_psnr", "val_psnr", "learning_rate"]
        assert [[getattr(row, c) for c in columns] for row in resumed.history] == [
            [getattr(row, c) for c in columns] for row in whole.history
        ]


def test_killed_after_the_last_step_it_still_reports(bank: RayBank, make_trainer) -> None:
    finished = make_trainer(bank, **{"runtime.checkpoint_seconds": 1e6})  # the last step is saved all the same
    finished.run(report=lambda row: None)
    reported, again = [], make_trainer(bank)
    again.run(report=reported.append)
    assert reported == finished.history[-1:]
    assert_same_weights(weights(again), weights(finished))


@pytest.mark.parametrize("method", ["tiny", "nerf", "ngp"])
def test_training_lowers_the_loss_and_learns_the_held_out_views(
    make_scene, build_bank, make_trainer, method: str
) -> None:
    changes = {
        f"{method}.train.steps": 100,
        f"{method}.train.validate_every": 10,
        f"{method}.train.lr": 2e-2 if method == "ngp" else 5e-3,
        f"{method}.train.lr_final": 1e-3,
        f"{method}.train.batch_rays": 256,
        "ngp.train.batch_samples": 8000,
        "tiny.field.frequencies": 3,
        "nerf.field.position_frequencies": 3,
        "nerf.field.width": 32,
        "runtime.cpu_chunk": 8192,
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
        trainer = make_trainer(bank, **{"runtime.cpu_chunk": block, "tiny.train.bf16": False})
        trainer.step.take(0, 64)
        gradients.append([p.grad.clone() for p in trainer.model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_the_gradient_is_that_of_the_mean_squared_error_of_every_pass(bank: RayBank, make_trainer) -> None:
    from nerfpipe.images.convert import alpha_composite
    from nerfpipe.rendering.render_rays import render_rays

    trainer = make_trainer(bank, method="nerf", **{"nerf.train.bf16": False})
    batch = draw_batch(bank, 0, 0, 64, trainer.model.random_numbers_per_ray)
    rays, _ = trainer.step.rays(batch)
    passes = render_rays(trainer.model.passes, rays, batch.background, batch.jitter)
    target = alpha_composite(rays.target, batch.background)
    loss = sum(torch.nn.functional.mse_loss(each.colour, target) for each in passes)
    expected = torch.autograd.grad(loss, list(trainer.model.parameters()))
    result = trainer.step.take(0, 64)
    assert result.loss == pytest.approx(loss.item(), rel=1e-5)
    assert result.mse == pytest.approx(torch.nn.functional.mse_loss(passes[-1].colour, target).item(), rel=1e-5)
    for parameter, gradient in zip(trainer.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("method", ["tiny", "nerf", "ngp"])
def test_a_pose_can_have_a_gradient(bank: RayBank, make_trainer, method: str) -> None:
    """Rays are formed in the step, so that poses can be learned; kernels give what plain torch gives."""
    from nerfpipe.ops import dispatch

    gradients = []
    for context in (nullcontext, dispatch.definitions):
        with context():
            trainer = make_trainer(bank, context.__name__, method=method, **{f"{method}.train.bf16": False})
            poses = trainer.step.poses = trainer.step.poses.clone().requires_grad_()
            trainer.step.take(0, 64)
            gradients.append(poses.grad)
    reached = gradients[0].flatten(1).any(dim=1)
    assert set(reached.nonzero().flatten().tolist()) == set(bank.splits["train"].tolist())
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_the_learning_rate_falls_exponentially(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.lr": 1e-2, "tiny.train.lr_final": 1e-4, "tiny.train.steps": 101})
    assert trainer.step.learning_rate(0) == pytest.approx(1e-2)
    assert trainer.step.learning_rate(50) == pytest.approx(1e-3)
    assert trainer.step.learning_rate(100) == pytest.approx(1e-4)


def test_history_has_a_row_every_so_often_and_at_the_end(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.steps": 8, "tiny.train.validate_every": 3})
    reported = []
    trainer.run(report=reported.append)
    assert [row.step for row in trainer.history] == [3, 6, 8]
    assert reported == trainer.history
    pictures = [trainer._render(view)[:2] for view in bank.splits["val"]]
    assert trainer.history[-1].val_psnr == pytest.approx(sum(psnr(*each) for each in pictures) / len(pictures))
    assert len(list(trainer.checkpoint.previews.glob("*.png"))) == 3


def test_a_dead_density_stops_with_advice_and_leaves_no_checkpoint(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **{"tiny.train.steps": 200})
    with torch.no_grad():
        trainer.model.last.field.head.bias[0] = -1e6  # ReLU: no density anywhere, and no gradient
    with pytest.raises(NerfpipeError, match=r"saw the same density everywhere, or nothing.*tiny\.train\.lr.*softplus"):
        trainer.run(report=lambda row: None)
    assert not trainer.checkpoint.file.exists()


@pytest.mark.parametrize("raw", [-12.0, 4.0], ids=["thin haze", "even fog"])
def test_haze_and_fog_are_collapses_too(bank: RayBank, make_trainer, raw: float) -> None:
    changes = {"method": "nerf", "nerf.train.steps": 200, "nerf.train.lr": 1e-9, "nerf.train.lr_final": 1e-9}
    trainer = make_trainer(bank, **changes)
    head = trainer.model.fields[0].density_head
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(raw)
    with pytest.raises(NerfpipeError, match="saw the same density everywhere, or nothing"):
        trainer.run(report=lambda row: None)


def test_a_loss_that_is_not_a_number_stops_with_advice(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank)
    with torch.no_grad():
        trainer.model.last.field.head.bias[1] = torch.nan
    with pytest.raises(NerfpipeError, match=r"the loss is nan at step 0; try a lower tiny\.train\.lr"):
        trainer.run(report=lambda row: None)


def test_asked_to_stop_it_saves_and_says_where(bank: RayBank, make_trainer) -> None:
    import os
    import signal

    trainer = make_trainer(bank, **{"runtime.checkpoint_seconds": 1e6})
    step = trainer.step.take

    def step_then_signal(number: int, rays: int):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(number, rays)

    trainer.step.take = step_then_signal
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
    header = describe_model(params, bank)
    assert (header.method, header.scene) == ("nerf", "ball")
    assert header.settings == params.nerf.model_dump()
    np.testing.assert_array_equal(header.poses, bank.arrays["poses"][bank.splits["train"]])
    np.testing.assert_allclose(header.centre, 0, atol=0.01)


NGP = {"method": "ngp", "runtime.checkpoint_seconds": 1e6}


@pytest.mark.parametrize("looks", [{}, TWICE], ids=["marched", "resampled"])
def test_ngp_trained_twice_and_on_one_thread_gives_the_same_bytes(bank: RayBank, make_trainer, looks: dict) -> None:
    import numba

    results = []
    for run, threads in (("a", 1), ("b", numba.config.NUMBA_NUM_THREADS), ("c", numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(threads)
        trainer = make_trainer(bank, run, **NGP, **looks, **{"ngp.train.steps": 30})
        trainer.run(report=lambda row: None)
        results.append(weights(trainer))
    assert_same_weights(results[0], results[1])
    assert_same_weights(results[1], results[2])


@pytest.mark.parametrize("looks", [{}, TWICE], ids=["marched", "resampled"])
def test_ngp_trains_alike_in_plain_torch(bank: RayBank, make_trainer, looks: dict) -> None:
    from nerfpipe.ops import dispatch

    fast = make_trainer(bank, "fast", **NGP, **looks, **{"ngp.train.bf16": False})
    fast.run(report=lambda row: None)
    with dispatch.definitions():
        plain = make_trainer(bank, "plain", **NGP, **looks, **{"ngp.train.bf16": False})
        plain.run(report=lambda row: None)
    assert [row.loss for row in plain.history] == pytest.approx([row.loss for row in fast.history], rel=1e-3)
    assert [row.val_psnr for row in plain.history] == pytest.approx([row.val_psnr for row in fast.history], abs=0.05)


def test_the_number_of_rays_follows_the_samples_and_is_resumed(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **NGP, **{"ngp.train.steps": 40, "ngp.train.validate_every": 40})
    samples, take = [], trainer.step.take

    def noting(step: int, rays: int):
        result = take(step, rays)
        samples.append(result.samples)
        return result

    trainer.step.take = noting
    trainer.run(report=lambda row: None)
    assert sum(samples[10:]) / 30 == pytest.approx(1000, rel=0.1)
    assert trainer.at.batch_rays > 1.3 * first_batch(
        trainer.settings, trainer.model
    )  # empty space was found, and left out


def test_long_first_looks_are_taken_by_fewer_rays_at_once(bank: RayBank, make_trainer) -> None:
    few, many = (make_trainer(bank, **NGP, **{**TWICE, "ngp.sampling.render_steps": steps}) for steps in (16, 16000))
    assert few.step.chunk == 2**19 // 6
    assert many.step.chunk * many.model.samplers[0].samples_per_ray <= 2**22


def test_resampled_rays_have_a_fixed_number_of_samples(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **NGP, **TWICE)
    assert first_batch(trainer.settings, trainer.model) == 1000 // 6
    result = trainer.step.take(0, 100)
    assert (result.rays, result.samples) == (100, 600)


@pytest.mark.parametrize("samples", [6, 100])
def test_after_training_the_cells_that_no_picture_shows_are_empty(bank: RayBank, make_trainer, samples: int) -> None:
    """Behind the ball's surface and in front of it nothing is kept; its surface is, and looks as it did."""
    steps = {"ngp.train.steps": 60, "ngp.train.lr": 2e-2, "ngp.train.lr_final": 5e-3, "ngp.train.batch_samples": 6000}
    looks = {**TWICE, "ngp.sampling.resample": samples, "ngp.sampling.grid": 16}
    trainer = make_trainer(bank, **NGP, **looks, **steps)
    after, shown = trainer.model.after_training, []

    def noting(batches) -> None:
        view = int(bank.splits["test"][0])
        shown.extend([trainer._render(view)[0], trainer.model.samplers[0].occupied_fraction()])
        after(batches)
        shown.extend([trainer._render(view)[0], trainer.model.samplers[0].occupied_fraction()])

    trainer.model.after_training = noting
    trainer.run(report=lambda row: None)
    before, all_cells, now, kept_cells = shown
    assert 0 < kept_cells < all_cells
    assert psnr(now, before) > 30


def test_a_batch_never_exceeds_its_rays(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **NGP, **{"ngp.train.batch_rays": 16})
    trainer.run(report=lambda row: None)
    assert trainer.at.batch_rays == 16
    assert trainer.at.rays == first_batch(trainer.settings, trainer.model) + 16 * 5


def test_the_terms_of_the_loss_are_reported_by_name(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **NGP, **{"ngp.train.distortion": 0.01, "ngp.train.entropy": 0.001})
    trainer.run(report=lambda row: None)
    row = trainer.history[-1].learned()
    assert row["loss"] == pytest.approx(row["loss_colour"] + row["loss_distortion"] + row["loss_entropy"], rel=1e-5)
    assert row["loss_distortion"] > 0


def test_levels_that_are_not_open_stay_as_they_began_and_all_learn_in_the_end(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(
        bank, **NGP, **{"ngp.train.steps": 8, "ngp.train.coarse_to_fine": 0.5, "ngp.field.levels": 4}
    )
    grid, rays = trainer.model.last.field.grid, first_batch(trainer.settings, trainer.model)
    began = grid.table.detach().clone()

    def learned(level: int) -> bool:
        _, offset, rows, _ = grid.levels[level]
        return not torch.equal(grid.table.detach()[offset : offset + rows], began[offset : offset + rows])

    seen = []
    for number in range(5):
        trainer.step.take(number, rays)
        seen.append([learned(level) for level in range(4)])
    assert seen == [[True, True, False, False]] * 2 + [[True, True, True, False]] * 2 + [[True] * 4]


def test_the_warm_up_rises_to_the_rate(bank: RayBank, make_trainer) -> None:
    rates = {"ngp.train.lr": 1e-2, "ngp.train.lr_final": 1e-2, "ngp.train.warmup": 3}
    step = make_trainer(bank, **NGP, **rates).step
    assert [step.learning_rate(n) for n in range(5)] == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01])


def test_one_train_view_is_refused(make_scene, build_bank, make_trainer) -> None:
    with pytest.raises(NerfpipeError, match="scene ball: one train view shows no depth"):
        make_trainer(build_bank(make_scene(train=1)), **NGP)


def test_bounds_that_miss_the_object_are_told(make_scene, build_bank, make_trainer) -> None:
    """With an alpha channel the truth inside such bounds is: nothing."""
    from dataclasses import replace

    import numpy as np

    away = np.array([[0.9, 0.9, 0.9], [1.3, 1.3, 1.3]], dtype=np.float32)
    scene = make_scene(train=12, sizes=((32, 24),))
    empty = replace(scene, bounds=away, read_image=lambda view: scene.read_image(view) * np.uint8(0))
    trainer = make_trainer(build_bank(empty), **NGP, **{"ngp.train.steps": 600, "ngp.train.validate_every": 600})
    with pytest.raises(NerfpipeError, match=r"or nothing; see with `nerfpipe doctor` whether the scene's bounds"):
        trainer.run(report=lambda row: None)
    assert not trainer.checkpoint.file.exists()


def test_a_rate_that_explodes_is_told(bank: RayBank, make_trainer) -> None:
    rates = {"ngp.train.lr": 1e9, "ngp.train.lr_final": 1e9, "ngp.train.warmup": 0, "ngp.train.steps": 200}
    with pytest.raises(NerfpipeError, match=r"training collapsed: .*ngp\.train\.lr"):
        make_trainer(bank, **NGP, **rates).run(report=lambda row: None)


def test_a_scene_that_fills_everything_is_remarked_on(make_scene, build_bank, make_trainer) -> None:
    """Pictures of noise have no surface in common: nothing is found empty."""
    from dataclasses import replace

    import numpy as np

    def noise(view: int) -> np.ndarray:
        picture = np.random.default_rng(view).integers(0, 256, (12, 16, 4), dtype=np.uint8)
        picture[..., 3] = 255
        return picture

    scene = replace(make_scene(), read_image=noise)
    steps = {"ngp.train.steps": 60, "ngp.train.validate_every": 60}
    trainer = make_trainer(build_bank(scene), **NGP, **steps)
    trainer.run(report=lambda row: None)
    [remark] = trainer.model.advice()
    assert "% full: nothing was found empty" in remark


def test_a_scene_with_empty_space_is_not(bank: RayBank, make_trainer) -> None:
    trainer = make_trainer(bank, **NGP, **{"ngp.train.steps": 60, "ngp.train.validate_every": 60})
    trainer.run(report=lambda row: None)
    assert trainer.model.advice() == []
    assert make_trainer(bank, "tiny").model.advice() == []


def test_val_psnr_is_that_of_the_pixels_within_the_masks(scene: Scene, build_bank, make_trainer) -> None:
    """Half of every picture is left out: what it shows changes nothing."""

    def left_half(view: int) -> np.ndarray:
        camera = scene.camera(view)
        return np.broadcast_to(np.arange(camera.width) < camera.width // 2, (camera.height, camera.width)).copy()

    def spoiled(view: int) -> np.ndarray:
        image = scene.read_image(view).copy()
        image[~left_half(view)] = (255, 0, 255, 255)
        return image

    found = []
    for name, read in (("clean", scene.read_image), ("spoiled", spoiled)):
        trainer = make_trainer(build_bank(replace(scene, read_image=read, read_mask=left_half)), name)
        trainer.run(report=lambda row: None)
        found.append([row.val_psnr for row in trainer.history])
    assert found[0] == found[1]
    without = make_trainer(build_bank(scene), "without")
    assert without._render(int(scene.splits["val"][0]))[2].all()

"""The switch, the threads and the kept code of the kernels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nerfpipe.config.params import Params
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.kernels.numba.warm_up import compile_all
from nerfpipe.models.registry import build_model
from nerfpipe.models.set_up import set_up
from nerfpipe.ops import dispatch
from nerfpipe.raybank.bank import RayBank
from stages import train

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def test_the_switch_in_params_reaches_the_kernels(with_params: Callable[..., Params]) -> None:
    try:
        set_up(with_params(**{"runtime.kernels": "torch", "runtime.device": "cpu"}).runtime)
        assert not dispatch.has_kernels(CPU)
        set_up(with_params(**{"runtime.device": "cpu"}).runtime)
        assert dispatch.has_kernels(CPU)
    finally:
        dispatch.allow(True)


def test_only_ngp_runs_in_kernels_and_only_on_the_cpu(with_params: Callable[..., Params]) -> None:
    for method, expected in (("ngp", True), ("tiny", False), ("nerf", False)):
        model = build_model(with_params(method=method).recipe, 0, Bounded.over(BOUNDS))
        assert model.uses_kernels(CPU) == expected
        assert not model.uses_kernels(torch.device("cuda"))


def test_threads_are_at_most_the_cores_there_are() -> None:
    import numba

    before = dispatch.threads()
    try:
        dispatch.set_threads(1000)
        assert dispatch.threads() == numba.config.NUMBA_NUM_THREADS
        dispatch.set_threads(1)
        assert dispatch.threads() == 1
    finally:
        dispatch.set_threads(before)


def test_warming_up_compiles_all_that_training_and_rendering_call() -> None:
    """Every kernel that Python calls has then one signature: a second would be compiled in the middle of a training."""
    code = (
        "from nerfpipe.kernels.numba.warm_up import compile_all; compile_all();"
        "from nerfpipe.kernels.numba import composite as c, ngp_field as f, hash_encoding as h;"
        "from nerfpipe.kernels.numba import march as m, render as r, row_adam as a;"
        "called = [c.forward, c.backward, f.forward, f.forward_density, f.moved, f.backward, h.add_table_gradient,"
        "          h.position_gradient, m.march_rays, m.note, m.pack, r.render, a.step_rows];"
        "counts = [len(kernel.signatures) for kernel in called];"
        "assert counts == [1] * 13, counts"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_numba_is_imported_before_a_kernel_is_used() -> None:
    code = "import sys, stages.train, nerfpipe.rendering.renderer; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compiling_twice_changes_nothing() -> None:
    compile_all()
    compile_all()


@pytest.mark.parametrize("kernels", ["auto", "torch"])
def test_the_checkpoints_fingerprint_covers_the_kernels_and_whether_they_run(
    kernels: str, bank: RayBank, with_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them, a run would go on with other kernels than it began with."""
    taken: list[tuple[dict[str, object], dict[str, Path]]] = []

    def fingerprint(decides: dict[str, object], _: Path, code: dict[str, Path]) -> str:
        taken.append((decides, code))
        raise StopIteration

    settings = {"runtime.device": "cpu", "runtime.kernels": kernels}
    monkeypatch.setattr(train, "load_params", lambda: with_params(method="ngp", **settings))
    monkeypatch.setattr(train, "RayBank", lambda _: bank)
    monkeypatch.setattr(train, "fingerprint", fingerprint)
    try:
        with pytest.raises(StopIteration):
            train.main()
    finally:
        dispatch.allow(True)
    [(decides, code)] = taken
    assert decides["kernels"] is (kernels == "auto")
    sources = {file.relative_to(ROOT).as_posix() for file in (ROOT / "nerfpipe/kernels").rglob("*.py")}
    assert sources
    assert sources <= code.keys()

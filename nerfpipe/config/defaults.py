"""The sections `render` and `runtime` for folders without a params.yaml. A test compares them with the project's."""

from __future__ import annotations

from nerfpipe.config.params import PARAMS_FILE, RenderParams, RuntimeParams, load_params

RENDER = RenderParams(frames=60, fps=15, path="auto", elevation=None, tilt=0.0, radius=1.0, size=0, panels=["colour"])
RUNTIME = RuntimeParams(
    device="auto", threads=0, cpu_chunk=4096, gpu_chunk=2**20, kernels="auto", checkpoint_seconds=30
)


def render_params() -> tuple[RenderParams, RuntimeParams]:
    """The sections `render` and `runtime` of params.yaml in the current folder; the defaults where there is none."""
    if not PARAMS_FILE.exists():
        return RENDER, RUNTIME
    params = load_params()
    return params.render, params.runtime

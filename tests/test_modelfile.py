"""field.safetensors: a model that can be used by itself, or a plain word on why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nerfpipe import __version__
from nerfpipe.config.defaults import RUNTIME
from nerfpipe.config.methods import TinyFieldParams
from nerfpipe.config.params import Params
from nerfpipe.geometry.space import camera_rays
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.images.convert import to_8bit
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import FORMAT, HEADER, ModelHeader, load_model, save_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.training.header import describe_model

BOUNDS = torch.tensor([[-0.8, -0.8, -0.8], [0.8, 0.8, 0.8]])
SMALL = {"method": "tiny", "nerf.field.width": 16, "nerf.field.depth": 3, "nerf.field.skip": 2, "tiny.field.width": 16}


@pytest.fixture
def params(with_params: Callable[..., Params]) -> Params:
    return with_params(**SMALL)


@pytest.fixture
def model(params: Params) -> Model:
    return build_model(params.recipe, seed=1, space=Bounded.over(BOUNDS))


@pytest.fixture
def header(params: Params, bank: RayBank) -> ModelHeader:
    return describe_model(params, bank)


@pytest.fixture
def file(tmp_path: Path, model: Model, header: ModelHeader) -> Path:
    save_model(tmp_path / "field.safetensors", model, header)
    return tmp_path / "field.safetensors"


def fault(file: Path) -> str:
    with pytest.raises(NerfpipeError) as caught:
        load_model(file)
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{file}: ")
    return line.removeprefix(f"{file}: ")


def rewrite(file: Path, header: Any = None, tensors: dict[str, torch.Tensor] | None = None) -> None:
    """The same file with another header (None: without) or other tensors."""
    save_file(tensors or load_file(file), file, metadata=None if header is None else {HEADER: json.dumps(header)})


@pytest.mark.parametrize("method", ["tiny", "nerf", "ngp"])
def test_a_model_comes_back_with_its_weights_and_header(
    method: str, tmp_path: Path, bank: RayBank, with_params: Callable[..., Params]
) -> None:
    params = with_params(**{**SMALL, "method": method})
    model, header = build_model(params.recipe, seed=1, space=Bounded.over(BOUNDS)), describe_model(params, bank)
    save_model(tmp_path / "new" / "field.safetensors", model, header)
    again, header_again = load_model(tmp_path / "new" / "field.safetensors")
    assert header_again == header
    assert not again.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    x = torch.rand(5, 3)
    one, other = again.last.field(x, x), model.last.field(x, x)
    assert torch.equal(one.density, other.density)
    assert torch.equal(one.colour, other.colour)


def test_the_header_tells_method_and_scene(header: ModelHeader, params: Params, bank: RayBank) -> None:
    assert (header.version, header.scene, header.method, header.seed) == (__version__, "ball", "tiny", params.seed)
    assert header.settings == params.tiny.model_dump()
    assert header.background_colour.tolist() == [1, 1, 1]
    assert header.space == bank.space
    assert header.camera == bank.cameras[0]
    np.testing.assert_allclose(np.linalg.norm(np.array(header.poses)[:, :, 3], axis=1), 3.0, rtol=1e-5)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, file: Path, model: Model, header: ModelHeader) -> None:
    save_model(tmp_path / "again", model, replace(header, settings=dict(reversed(header.settings.items()))))
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_weights_are_a_function_of_the_seed_alone(params: Params) -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in build_model(params.recipe, seed, Bounded.over(BOUNDS)).parameters()])

    torch.manual_seed(0)
    first, state = weights(5), torch.get_rng_state()
    torch.manual_seed(1)
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)
    torch.manual_seed(0)
    assert torch.equal(torch.get_rng_state(), state)  # the global state stays as it was


def test_a_missing_file_names_the_stage(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.safetensors") == "not found; run `dvc repro train` first"


@pytest.mark.parametrize("left", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_short_is_refused(file: Path, left: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(left * len(content))])
    assert fault(file).startswith("not a whole .safetensors file")


def test_a_pickled_file_is_refused(file: Path, model: Model) -> None:
    torch.save(model, file)
    assert fault(file).startswith("not a whole .safetensors file")


def test_a_file_without_our_header_is_refused(file: Path) -> None:
    rewrite(file)
    assert fault(file) == "has no nerfpipe header, so it is not a model of this project"


@pytest.mark.parametrize(
    "change",
    [
        lambda header: {**header, "levels": 16},  # a later version says more
        lambda header: {key: value for key, value in header.items() if key != "space"},  # an earlier one less
        lambda header: {**header, "camera": {"width": 4}},
        lambda header: {**header, "camera": None},
        lambda header: {**header, "background": "green"},
        lambda header: {**header, "space": {**header["space"], "bounds": "wide"}},
        lambda header: {**header, "method": ["tiny"]},
        lambda header: {**header, "seed": "lucky"},
        lambda header: [header],
        lambda header: "tiny",
    ],
)
def test_a_header_of_another_version_is_refused(file: Path, header: ModelHeader, change: Callable[[dict], Any]) -> None:
    rewrite(file, change(asdict(header)))
    assert fault(file) == f"its header is of another version of nerfpipe than {__version__}"


OLD_NAMES = {
    "field": {"base_resolution": "coarsest", "max_resolution": "finest", "log2_hashmap_size": "log2_rows"},
    "sampling": {"early_stop_eps": "stop"},
    "train": {"coarse_to_fine": "open_levels"},
}


def in_format_1(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as the first format of the header has them."""
    return {
        section: {OLD_NAMES[section].get(key, key): value for key, value in content.items()}
        for section, content in settings.items()
    }


def test_a_file_of_the_first_format_loads_as_the_same_model(
    tmp_path: Path, bank: RayBank, with_params: Callable[..., Params]
) -> None:
    params = with_params(**{"method": "ngp", "ngp.sampling.grid": 8, "ngp.field.log2_hashmap_size": 8})
    file, header = tmp_path / "field.safetensors", describe_model(params, bank)
    save_model(file, build_model(params.recipe, 1, Bounded.over(BOUNDS)), header)
    new, _ = load_model(file)
    old = in_format_1(header.settings)
    assert not {"max_resolution", "log2_hashmap_size"} & old["field"].keys()
    rewrite(file, {**asdict(header), "settings": old})
    model, read = load_model(file)
    assert read == header
    for name, tensor in new.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_the_header_says_its_format_and_another_is_refused(file: Path, header: ModelHeader) -> None:
    with safe_open(file, framework="pt") as stream:
        assert json.loads(stream.metadata()[HEADER])["format"] == FORMAT == 2
    for other in (0, FORMAT + 1, "2", None, [1]):
        rewrite(file, {**asdict(header), "format": other})
        assert fault(file) == f"its header is of another version of nerfpipe than {__version__}"


def test_a_file_of_this_format_has_no_old_names(file: Path, bank: RayBank, with_params: Callable[..., Params]) -> None:
    header = describe_model(with_params(method="ngp"), bank)
    rewrite(file, {"format": FORMAT, **asdict(header), "settings": in_format_1(header.settings)})
    assert fault(file) == "ngp.field.coarsest: unknown key; it is called base_resolution now (and 4 more)"


def test_a_file_that_lacks_a_later_setting_means_its_former_value(
    file: Path, header: ModelHeader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyFieldParams, "added", {"density": "softplus"})
    field = {key: value for key, value in header.settings["field"].items() if key != "density"}
    rewrite(file, {"format": FORMAT, **asdict(header), "settings": {**header.settings, "field": field}})
    assert load_model(file)[1].settings["field"]["density"] == "softplus"
    written = {**field, "density": "relu"}
    rewrite(file, {"format": FORMAT, **asdict(header), "settings": {**header.settings, "field": written}})
    assert load_model(file)[1].settings["field"]["density"] == "relu"


def test_a_method_that_is_unknown_is_named(file: Path, header: ModelHeader) -> None:
    rewrite(file, {**asdict(header), "method": "mip"})
    assert fault(file) == "unknown method 'mip'; this version knows ngp, ngp_photos, tiny, nerf"


def test_settings_that_are_wrong_are_named(file: Path, header: ModelHeader) -> None:
    settings = header.settings
    rewrite(file, {**asdict(header), "settings": {**settings, "field": {**settings["field"], "width": -1}}})
    assert fault(file) == "tiny.field.width: must be greater than 0 (got -1)"


def test_weights_of_another_method_are_refused(file: Path, header: ModelHeader, params: Params) -> None:
    rewrite(file, {**asdict(header), "method": "nerf", "settings": params.nerf.model_dump()})
    line = fault(file)
    assert line.startswith("its weights do not fit its settings (")
    assert len(line) < 300


def test_weights_of_another_size_are_refused(file: Path, header: ModelHeader) -> None:
    settings = header.settings
    rewrite(file, {**asdict(header), "settings": {**settings, "field": {**settings["field"], "width": 8}}})
    assert fault(file).startswith("its weights do not fit its settings (")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(file: Path, header: ModelHeader, value: float) -> None:
    tensors = load_file(file)
    tensors["passes.0.field.layers.1.bias"][3] = value
    rewrite(file, asdict(header), tensors)
    assert fault(file) == "passes.0.field.layers.1.bias holds NaN or infinity; train again"


@pytest.mark.parametrize(("key", "value"), [("width", 8192), ("depth", 64), ("width", 2**40), ("depth", 2**40)])
def test_a_header_that_asks_for_much_is_refused_before_memory_is_taken(
    file: Path, header: ModelHeader, key: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = header.settings
    rewrite(file, {**asdict(header), "settings": {**settings, "field": {**settings["field"], key: value}}})

    def take_memory(*_: object) -> None:
        assert torch.empty(0).is_meta, "the model was made"
        return build_model(*_)

    monkeypatch.setattr("nerfpipe.models.model_file.build_model", take_memory)
    assert fault(file).startswith(("its weights do not fit its settings (", f"tiny.field.{key}: must be less than"))


def test_a_missing_a_surplus_and_a_converted_tensor_are_named(file: Path, header: ModelHeader) -> None:
    sound, name = load_file(file), "passes.0.field.head.bias"
    rewrite(file, asdict(header), {other: tensor for other, tensor in sound.items() if other != name})
    assert f"({name} is missing and should be float32 [4])" in fault(file)
    rewrite(file, asdict(header), {**sound, "more": torch.zeros(2)})
    assert "(more is float32 [2] and should be missing)" in fault(file)
    rewrite(file, asdict(header), {**sound, name: sound[name].double()})
    assert f"({name} is float64 [4] and should be float32 [4])" in fault(file)


@pytest.mark.parametrize("bounds", [[[float("nan")] * 3] * 2, [[0.0] * 3] * 2])
@pytest.mark.parametrize("method", ["tiny", "ngp"])
def test_a_header_of_a_space_that_is_none_is_refused(
    bounds: list, method: str, tmp_path: Path, bank: RayBank, with_params: Callable[..., Params]
) -> None:
    params = with_params(**{**SMALL, "method": method})
    file, header = tmp_path / "field.safetensors", describe_model(params, bank)
    save_model(file, build_model(params.recipe, 1, Bounded.over(BOUNDS)), header)
    rewrite(file, {**asdict(header), "space": {**asdict(header)["space"], "bounds": bounds}})
    assert fault(file).startswith("its header describes no model (")


def test_a_model_of_the_first_format_renders_the_same_picture() -> None:
    """Both files were written by version 0.1.0, before its header had a format."""
    kept = Path(__file__).parent / "data"
    model, header = load_model(kept / "model_format_1.safetensors")
    truth = iio.imread(kept / "model_format_1.png")
    rays = camera_rays(header.camera, torch.tensor(header.poses[0]), header.space)
    renderer = Renderer(model, torch.device("cpu"), RUNTIME, header.bf16)
    picture = to_8bit(renderer.view(rays, header.background_colour, *truth.shape[:2]).colour)
    assert np.abs(truth.astype(int) - 255).max() > 100, "it shows something"
    assert np.abs(picture.astype(int) - truth).max() <= 1  # another processor may round otherwise

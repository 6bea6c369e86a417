"""params.yaml: what it may say, and how every fault is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nerfpipe.config.methods import METHODS, MethodName, NerfParams, TinyParams, parse_method
from nerfpipe.config.params import Params, load_params, params_faults
from nerfpipe.config.yaml_file import read_yaml
from nerfpipe.runtime.errors import NerfpipeError

PROJECT_PARAMS = Path(__file__).parents[1] / "params.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def changed(**changes: Any) -> dict[str, Any]:
    """The project's params with some values set; None takes a key out."""
    content = read_yaml(PROJECT_PARAMS)
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        section = content
        for name in sections:
            section = section[name]
        section.pop(key, None)
        if value is not None:
            section[key] = value
    return content


def faults(file: Path, content: dict[str, Any] | str) -> list[str]:
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(NerfpipeError) as caught:
        load_params(file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:").strip() for line in lines]


def test_the_projects_own_params_are_valid() -> None:
    params, found = params_faults(PROJECT_PARAMS)
    assert found == []
    assert params == load_params(PROJECT_PARAMS)


def test_the_recipe_is_the_section_of_the_method(with_params: Callable[..., Params]) -> None:
    assert isinstance(with_params(method="tiny").recipe, TinyParams)
    assert isinstance(with_params(method="nerf").recipe, NerfParams)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("tiny.train.lr", -1, "tiny.train.lr: must be greater than 0 (got -1)"),
        ("tiny.train.lr", float("inf"), "tiny.train.lr: must be a finite number (got inf)"),
        ("nerf.train.steps", 0, "nerf.train.steps: must be greater than 0 (got 0)"),
        ("nerf.sampling.coarse", 1, "nerf.sampling.coarse: must be greater than or equal to 2 (got 1)"),
        ("tiny.field.density", "exp", "tiny.field.density: must be 'relu' or 'softplus' (got 'exp')"),
        ("method", "ngpp", "method: must be 'ngp', 'ngp_photos', 'tiny' or 'nerf' (got 'ngpp')"),
        ("ngp.field.width", 30, "ngp.field.width: must be a multiple of 4 (got 30)"),
        ("ngp.field.max_resolution", 8, "ngp.field.max_resolution: must not lie below base_resolution, 16 (got 8)"),
        ("ngp.field.log2_hashmap_size", 25, "ngp.field.log2_hashmap_size: must be less than or equal to 24 (got 25)"),
        ("ngp.sampling.decay", 1, "ngp.sampling.decay: must be less than 1 (got 1)"),
        ("ngp.sampling.grid", 0, "ngp.sampling.grid: must be greater than or equal to 1 (got 0)"),
        ("ngp.train.loss", "l1", "ngp.train.loss: must be 'mse' or 'huber' (got 'l1')"),
        ("ngp.train.distortion", -1, "ngp.train.distortion: must be greater than or equal to 0 (got -1)"),
        ("ngp.train.batch_samples", 0, "ngp.train.batch_samples: must be greater than 0 (got 0)"),
        ("runtime.kernels", "cuda", "runtime.kernels: must be 'auto' or 'torch' (got 'cuda')"),
        ("seed", -1, "seed: must be greater than or equal to 0 (got -1)"),
        ("rays.margin", -0.1, "rays.margin: must be greater than or equal to 0 (got -0.1)"),
        ("rays.min_near", 0, "rays.min_near: must be greater than 0 (got 0)"),
        ("render.elevation", 91, "render.elevation: must be less than or equal to 90 (got 91)"),
        ("scene", None, "scene: missing"),
        ("tiny.field.width", None, "tiny.field.width: missing"),
        ("runtime", None, "runtime: missing"),
        ("tiny.train.steqs", 3, "tiny.train.steqs: unknown key; did you mean steps?"),
        ("rendr", 3, "rendr: unknown key; did you mean render?"),
        ("rays.colour", 3, "rays.colour: unknown key; known here: margin, min_near"),
    ],
)
def test_a_fault_is_told_in_one_line(file: Path, key: str, value: Any, line: str) -> None:
    assert faults(file, changed(**{key: value})) == [line]


RENAMED = {
    "ngp.field.coarsest": "base_resolution",
    "ngp.field.finest": "max_resolution",
    "ngp.field.log2_rows": "log2_hashmap_size",
    "ngp.sampling.stop": "early_stop_eps",
    "ngp.train.open_levels": "coarse_to_fine",
    "ngp_photos.field.coarsest": "base_resolution",
    "ngp_photos.field.finest": "max_resolution",
    "ngp_photos.field.log2_rows": "log2_hashmap_size",
    "ngp_photos.sampling.stop": "early_stop_eps",
    "ngp_photos.train.open_levels": "coarse_to_fine",
    "runtime.cpu_block": "cpu_chunk",
    "runtime.gpu_block": "gpu_chunk",
}


def new_key(old: str) -> str:
    return f"{old.rpartition('.')[0]}.{RENAMED[old]}"


@pytest.mark.parametrize("old", RENAMED)
def test_a_key_of_an_earlier_version_is_refused_in_one_line_with_its_new_name(file: Path, old: str) -> None:
    line = f"{old}: unknown key; it is called {RENAMED[old]} now"
    assert faults(file, changed(**{new_key(old): None, old: 1})) == [line]
    assert faults(file, changed(**{old: 1})) == [line]  # beside the new one: `dvc exp run -S +KEY=VALUE`


def test_a_file_of_an_earlier_version_is_refused_in_a_line_for_each_key(file: Path) -> None:
    old_names = {new_key(old): None for old in RENAMED} | dict.fromkeys(RENAMED, 1)
    assert faults(file, changed(**old_names)) == [
        f"{old}: unknown key; it is called {new} now" for old, new in RENAMED.items()
    ]


def test_an_old_name_hides_no_other_missing_key(file: Path) -> None:
    lines = faults(file, changed(**{"runtime.cpu_chunk": None, "runtime.gpu_chunk": None, "runtime.cpu_block": 1}))
    assert sorted(lines) == [
        "runtime.cpu_block: unknown key; it is called cpu_chunk now",
        "runtime.gpu_chunk: missing",
    ]


def test_all_faults_are_told_at_once(file: Path) -> None:
    lines = faults(file, changed(**{"tiny.train.lr": -1, "nerf.field.wdth": 3, "rays.margin": None, "scene": 7}))
    assert sorted(line.split(":")[0] for line in lines) == ["nerf.field.wdth", "rays.margin", "scene", "tiny.train.lr"]


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps"])
def test_devices_by_name(device: str, with_params: Callable[..., Params]) -> None:
    assert with_params(**{"runtime.device": device}).runtime.device == device


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cuda1", "CPU", "", "cpu:0", "auto\n"])
def test_devices_of_no_such_name(file: Path, device: str) -> None:
    [line] = faults(file, changed(**{"runtime.device": device}))
    assert line.startswith("runtime.device: ")


@pytest.mark.parametrize(("written", "number"), [("1e-3", 1e-3), ("5.0E-4", 5e-4), ("1", 1.0), (".5", 0.5)])
def test_numbers_as_people_write_them(file: Path, written: str, number: float) -> None:
    file.write_text(PROJECT_PARAMS.read_text().replace("lr: 5.0e-4", f"lr: {written}"))
    params = load_params(file)
    assert (params.tiny.train.lr, params.nerf.train.lr) == (number, number)


@pytest.mark.parametrize("written", ["true", "[1]", "{a: 1}", "null", "1.5", "many"])
def test_a_count_is_a_whole_number(file: Path, written: str) -> None:
    [line] = faults(file, re.sub(r"steps: \d+", f"steps: {written}", PROJECT_PARAMS.read_text(), count=1))
    assert line.startswith("tiny.train.steps: ")


@pytest.mark.parametrize("skip", [4, 5])
def test_the_skip_must_lie_below_the_depth(file: Path, skip: int) -> None:
    lines = faults(file, changed(**{"tiny.field.skip": skip, "nerf.field.depth": 2}))
    assert lines == [
        f"tiny.field.skip: must lie below depth, 4 (got {skip})",
        "nerf.field.skip: must lie below depth, 2 (got 5)",
    ]


def test_a_wrong_skip_does_not_hide_behind_other_faults(file: Path) -> None:
    lines = faults(file, changed(**{"tiny.field.skip": 9, "seed": -1}))
    assert [line.split(":")[0] for line in lines] == ["seed", "tiny.field.skip"]


def test_a_key_given_twice_is_told_with_its_line(file: Path) -> None:
    [line] = faults(file, "scene: a\nrays:\n  margin: 0\n  margin: 1\n")
    assert line == "line 4: not valid YAML: the key 'margin' is given twice"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scene: a\nrays: [1, 2\nseed: 0\n", "line 3: not valid YAML: "),
        ("scene: a\n\tseed: 0\n", "line 2: not valid YAML: "),
        ("- a\n- b\n", "must hold `key: value` lines at its top (got list)"),
        ("", "must hold `key: value` lines at its top (got NoneType)"),
        ("just text", "must hold `key: value` lines at its top (got str)"),
        ("scene: !!python/object/apply:os.system [ls]\n", "line 1: not valid YAML: "),
    ],
)
def test_what_is_no_yaml_mapping_is_told(file: Path, text: str, told: str) -> None:
    [line] = faults(file, text)
    assert line.startswith(told)


@pytest.mark.parametrize(
    "text",
    ["[a, b]: 1", "{a: 1}: 1", "seed: 2024-13-45", "seed: !!int x", "seed: " + "9" * 5000, "3: 1", "a: !!timestamp x"],
)
def test_yaml_that_python_cannot_hold_is_told_too(file: Path, text: str) -> None:
    assert faults(file, text)


def test_a_file_that_is_no_text_is_told(file: Path) -> None:
    file.write_bytes(b"scene: \xff\xfe\n")
    with pytest.raises(NerfpipeError, match="UTF-8"):
        load_params(file)


def test_a_missing_file_is_told(file: Path) -> None:
    with pytest.raises(NerfpipeError, match=r"params\.yaml: not found; run from the project's folder"):
        load_params(file)


def all_keys(content: Any, prefix: str = "") -> list[str]:
    if not isinstance(content, dict):
        return []
    keys = [prefix + key for key in content]
    return keys + [deeper for key, value in content.items() for deeper in all_keys(value, f"{prefix}{key}.")]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
GARBAGE = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS, inner, max_size=3), max_leaves=5
)
KEYS = st.sampled_from(all_keys(read_yaml(PROJECT_PARAMS)))


def only_told(file: Path) -> None:
    lines = [f"{file}:"]
    try:
        load_params(file)
    except NerfpipeError as error:
        lines = str(error).splitlines()
    assert lines
    assert all(line.startswith(f"{file}:") for line in lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(key=KEYS, garbage=GARBAGE, under=st.booleans(), name=SCALARS)
def test_garbage_anywhere_is_told_and_never_raises_anything_else(
    file: Path, key: str, garbage: Any, under: bool, name: Any
) -> None:
    content = changed()
    *sections, last = key.split(".")
    section: Any = content
    for part in sections:
        section = section[part]
    section[name if under else last] = garbage
    file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    only_told(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    st.lists(st.sampled_from([*"ab01:-?[]{},&*!|>'\"%@~.# \n\t\x00", "\n  ", ": ", "- ", "<<"]), max_size=12).map(
        "".join
    )
)
@example("<<: 1")
@example("&a [*a]: 1")
@example("? {a: 1}\n: 2")
def test_any_text_is_told_and_never_raises_anything_else(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    only_told(file)


def test_every_method_has_a_name_and_a_section() -> None:
    assert list(METHODS) == list(get_args(MethodName))
    assert {name: Params.model_fields[name].annotation for name in METHODS} == METHODS


def test_settings_in_a_model_file_are_checked_too(with_params: Callable[..., Params]) -> None:
    settings_of_tiny = with_params().tiny.model_dump()
    assert parse_method("tiny", settings_of_tiny, "model") == with_params().tiny
    with pytest.raises(
        NerfpipeError, match="model: unknown method 'mip'; this version knows ngp, ngp_photos, tiny, nerf"
    ):
        parse_method("mip", settings_of_tiny, "model")
    with pytest.raises(NerfpipeError, match=r"model: nerf\.field\.position_frequencies: missing"):
        parse_method("nerf", settings_of_tiny, "model")


def test_values_of_any_size_are_told_in_a_short_line(tmp_path: Path) -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "params.yaml").write_text("\n".join(["a0: &a0 [x]", *levels, "scene: *a11", f"{'k' * 900}: 1", ""]))
    faults = params_faults(tmp_path / "params.yaml")[1]
    assert any(fault.startswith("scene: ") for fault in faults)
    assert all(len(fault) < 1000 for fault in faults)


@pytest.mark.parametrize("content", ["seed: " + "[" * 3000 + "]" * 3000, "- " * 3000 + "x"])
def test_what_is_nested_too_deep_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(NerfpipeError, match=r"params.yaml: not valid YAML: brackets or lists are nested too deep"):
        params_faults(tmp_path / "params.yaml")


def test_a_key_with_a_line_break_stays_one_line(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text('"a\\nb": 1\n')
    faults = params_faults(tmp_path / "params.yaml")[1]
    assert any(fault.startswith("'a\\nb': unknown key") for fault in faults)
    assert not any("\n" in fault for fault in faults)

"""dvc.yaml against the code: DVC does not look at imports, so its lists are held to them here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from nerfpipe.config.methods import METHODS
from nerfpipe.config.params import Params
from nerfpipe.project import paths
from nerfpipe.project.pipeline import stage_code
from nerfpipe.runtime.errors import NerfpipeError

ROOT = Path(__file__).parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported_modules(file: Path) -> set[str]:
    """Every dotted name that a file imports, also inside functions, with `from a import b` as both a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module_files(name: str) -> set[Path]:
    """The project's files that importing a dotted name runs: the module and its packages' __init__.py."""
    if name.split(".")[0] not in ("nerfpipe", "stages"):
        return set()
    parts = name.split(".")
    files = {ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)}
    return {file for file in files | {ROOT.joinpath(*parts).with_suffix(".py")} if file.is_file()}


def import_closure(file: Path) -> set[Path]:
    """All the project's files that a file imports, directly or not."""
    found, waiting = set(), {file, ROOT / "stages/__init__.py"}
    while waiting:
        current = waiting.pop()
        found.add(current)
        reached = {each for name in imported_modules(current) for each in module_files(name)}
        waiting |= reached - found
    return found


def code_deps(stage: str) -> list[Path]:
    return [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith(("nerfpipe/", "stages/"))]


@pytest.mark.parametrize("stage", STAGES)
def test_every_import_of_a_stage_is_among_its_deps(stage: str) -> None:
    closure = import_closure(ROOT / f"stages/{stage}.py")
    deps = code_deps(stage)
    missing = [file for file in closure if not any(file == dep or dep in file.parents for dep in deps)]
    assert not missing, f"add to dvc.yaml, {stage}: {sorted(str(file.relative_to(ROOT)) for file in missing)}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_dep_of_a_stage_is_without_use(stage: str) -> None:
    closure = import_closure(ROOT / f"stages/{stage}.py")
    idle = [dep for dep in code_deps(stage) if not any(file == dep or dep in file.parents for file in closure)]
    assert not idle, f"remove from dvc.yaml, {stage}: {idle}"


def test_the_fingerprint_covers_all_code_that_training_can_import() -> None:
    code = stage_code("train")
    closure = {file.relative_to(ROOT).as_posix() for file in import_closure(ROOT / "stages/train.py")}
    assert closure <= code.keys()
    assert {"stages/train.py", "nerfpipe/runtime/checkpoint.py", "nerfpipe/kernels/numba/render.py"} <= code.keys()
    assert not {"stages/render.py", "nerfpipe/film/film.py", "nerfpipe/project/check.py"} & code.keys()
    assert all(code[name] == ROOT / name for name in code)


def test_code_of_a_stage_is_all_that_its_deps_hold(tmp_path: Path) -> None:
    for name in ("nerfpipe/a/one.py", "nerfpipe/a/b/two.cu", "nerfpipe/a/__pycache__/one.pyc", "nerfpipe/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "dvc.yaml").write_text("stages: {fit: {deps: [data/rays, nerfpipe/a, stages/fit.py, params.yaml]}}")
    assert list(stage_code("fit", tmp_path)) == ["nerfpipe/a/b/two.cu", "nerfpipe/a/one.py", "stages/fit.py"]


@pytest.mark.parametrize("content", ["stages: {}", "stages: {fit: {}}", "stages: [fit]", "stages: {fit: {deps: 3}}"])
def test_a_pipeline_without_the_stage_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "dvc.yaml").write_text(content)
    with pytest.raises(NerfpipeError, match=r"dvc\.yaml: stages\.fit\.deps: must list the files of the stage"):
        stage_code("fit", tmp_path)


def test_the_paths_of_outs_and_metrics_are_those_of_the_pipeline() -> None:
    outs = {out for stage in STAGES.values() for out in stage["outs"]}
    assert {path.as_posix() for path in (*paths.OUT_FOLDERS, paths.CHECKED)} == outs
    files = [entry for stage in STAGES.values() for kind in ("metrics", "plots") for entry in stage.get(kind, [])]
    metrics = (paths.TRAIN_METRICS, paths.SPEED_METRICS, paths.TEST_METRICS)
    tables = (paths.HISTORY_TABLE, paths.SPEED_TABLE, paths.VIEWS_TABLE)
    assert {path.as_posix() for path in (*metrics, *tables)} == {name for entry in files for name in entry}
    deps = {dep for stage in STAGES.values() for dep in stage["deps"]}
    assert {path.as_posix() for path in (paths.CATALOGUE_FILE, paths.MODEL, paths.KEY_FRAMES)} <= deps


def test_every_section_of_params_is_used_by_a_stage_except_runtime() -> None:
    listed = {param for stage in STAGES.values() for param in stage.get("params", []) if isinstance(param, str)}
    methods = set(METHODS)
    assert listed == set(Params.model_fields) - methods - {"runtime"} | {"${method}"}
    assert methods <= set(Params.model_fields)


def test_every_stage_has_a_description_and_runs_its_own_module() -> None:
    for name, stage in STAGES.items():
        assert stage["desc"]
        assert stage["cmd"] == f"python -m stages.{name}"


def test_git_ignores_every_cached_out() -> None:
    ignored = set((ROOT / ".gitignore").read_text().splitlines())
    for stage in STAGES.values():
        assert all({f"/{out}", f"/{out}/"} & ignored for out in stage["outs"])

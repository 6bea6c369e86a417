"""dvc.yaml against the code: DVC does not look at imports, so its lists are held to them here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from nerfpipe.config.methods import METHODS
from nerfpipe.config.params import Params

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

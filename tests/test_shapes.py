"""Public functions that take or give tensors have shapes in their annotations, and tests check every call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from shape_checks import CHECKED

from nerfpipe.geometry.contraction import contract
from nerfpipe.ops.spherical_harmonics import spherical_harmonics
from nerfpipe.rendering.volume_rendering import ray_weights
from nerfpipe.types import FieldOutput

ARRAYS = ("Tensor", "ndarray")
ANY_SHAPE = {"PixelBatch.__getitem__", "RayBatch.__getitem__"}  # any index


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="directions"):
        spherical_harmonics(torch.zeros(5, 2))
    with pytest.raises(TypeCheckError, match="delta"):
        ray_weights(torch.zeros(2, 4), torch.zeros(2, 5))
    with pytest.raises(TypeCheckError, match="colour"):
        FieldOutput(torch.zeros(3), {"colour": torch.zeros(3)})


def test_a_wrong_type_of_number_is_refused() -> None:
    with pytest.raises(TypeCheckError, match="parameter 'x'"):
        contract(torch.zeros(5, 3, dtype=torch.int64))


@pytest.mark.parametrize("room", CHECKED)
def test_public_functions_name_the_shapes_of_their_tensors(room: str) -> None:
    path = Path(__file__).parents[1] / "nerfpipe" / room.replace(".", "/")
    files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    assert files
    without = [f"{file.name}: {name}" for file in files for name in unshaped(ast.parse(file.read_text("utf-8")))]
    assert not without


def unshaped(module: ast.Module) -> Iterator[str]:
    """The public functions and fields of a module that have an annotation with a tensor or array without a shape."""
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                name = f"{node.name}.{getattr(member, 'name', '')}"
                if any(map(is_bare, annotations(member))) and name not in ANY_SHAPE:
                    yield name
        elif any(map(is_bare, annotations(node))):
            yield node.name


def annotations(node: ast.stmt) -> list[ast.expr]:
    """The annotations of a public function or of a field."""
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    if not isinstance(node, ast.FunctionDef) or (node.name.startswith("_") and not node.name.endswith("__")):
        return []
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [note for note in (*(argument.annotation for argument in arguments), node.returns) if note is not None]


def is_bare(annotation: ast.expr) -> bool:
    """Whether a tensor or array stands in an annotation other than as the first part of Float[Tensor, "…"]."""
    shaped = {
        id(part)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple)
        for part in ast.walk(node.slice.elts[0])
        if len(node.slice.elts) == 2 and isinstance(node.slice.elts[1], ast.Constant)
    }
    named = [node for node in ast.walk(annotation) if isinstance(node, ast.Name | ast.Attribute)]
    return any(getattr(node, "id", getattr(node, "attr", "")) in ARRAYS and id(node) not in shaped for node in named)


def test_the_check_finds_what_it_should() -> None:
    source = 'def a(x: Tensor) -> None: ...\ndef b(x: Float[Tensor, "M 3"]) -> tuple[Tensor, float]: ...\n'
    sound = 'def c(x: Float[Tensor, "M 3"] | None) -> dict[str, Float[np.ndarray, " M"]]: ...\n'
    assert list(unshaped(ast.parse(source + sound))) == ["a", "b"]

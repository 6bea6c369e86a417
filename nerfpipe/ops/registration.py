"""Registration of an operation's kernel with torch.library.

`torch.library.custom_op` registers the same, and checks at every call that outputs share no memory with inputs: 70 µs a
call on two cores, 2 % of a training step in all. Tests check that once (`opcheck`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch

Function = TypeVar("Function", bound=Callable[..., Any])


def operation(name: str, mutates_args: Sequence[str] = ()) -> Callable[[Function], Function]:
    """Register a function as the CPU kernel of a new operation "namespace::name", whose schema is its signature.

    mutates_args: the arguments that it writes to. What the decorator returns calls the operation, so that it is seen
    by autograd and by torch.compile. Shapes without data and gradients are registered by torch.library.register_fake
    and register_autograd, by name.
    """

    def register(function: Function) -> Function:
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=mutates_args))
        torch.library.impl(name, "CPU", function)
        namespace, _, own = name.partition("::")
        return cast(Function, getattr(getattr(torch.ops, namespace), own).default)

    return register

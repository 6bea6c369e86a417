"""From a network's raw output to a density, which is never negative."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def density_activation(raw: Tensor, kind: str) -> Tensor:
    """Density sigma >= 0 per scene unit, in float32. `kind` is "relu" or "softplus".

    ReLU has no gradient where it is zero: a field that is empty everywhere stays so. Softplus always has one.
    """
    raw = raw.float()
    return functional.relu(raw) if kind == "relu" else functional.softplus(raw)

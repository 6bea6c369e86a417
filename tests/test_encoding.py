"""Positional encoding."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from nerfpipe.fields.frequency_encoding import FrequencyEncoding


def slow_encoding(x: list[float], frequencies: int) -> list[float]:
    numbers = list(x)
    for octave in range(frequencies):
        numbers += [math.sin(2**octave * value) for value in x]
        numbers += [math.cos(2**octave * value) for value in x]
    return numbers


@pytest.mark.parametrize("frequencies", [0, 1, 4, 10])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_encoding_equals_a_slow_loop(frequencies: int, dimensions: int) -> None:
    x = torch.linspace(-2, 3, 5 * dimensions, dtype=torch.float64).reshape(5, dimensions)
    encoded = FrequencyEncoding(frequencies, dimensions)(x)
    expected = torch.tensor([slow_encoding(row, frequencies) for row in x.tolist()], dtype=torch.float64)
    assert_close(encoded, expected)


@pytest.mark.parametrize(("frequencies", "size"), [(10, 63), (4, 27), (0, 3)])
def test_the_size_is_known_beforehand(frequencies: int, size: int) -> None:
    encoding = FrequencyEncoding(frequencies)
    assert encoding.size == size
    assert encoding(torch.zeros(7, 3)).shape == (7, size)


def test_without_frequencies_the_position_itself_remains() -> None:
    x = torch.rand(5, 3)
    assert_close(FrequencyEncoding(0)(x), x)


def test_the_encoding_holds_nothing_to_learn_or_save() -> None:
    encoding = FrequencyEncoding(4)
    assert list(encoding.parameters()) == []
    assert encoding.state_dict() == {}

"""What nerfpipe reads from a YAML file is what DVC reads, and so records, from the same bytes; or it is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import pytest
from dvc.utils.serialize import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from nerfpipe.config.yaml_file import Section, read_yaml, validate
from nerfpipe.runtime.errors import NerfpipeError

# Which readers of YAML 1.1 and of 1.2 take differently.
TELLING = [
    "1e-3", "1.e-3", ".5", "1E3", "+1", "-0", "017", "0o17", "0x1F", "0b11", "1_000", "1_0.5", "1:30", "12:30:45",
    "yes", "no", "on", "off", "Yes", "NO", "y", "n", "true", "True", "TRUE", "~", "null", "Null", "", ".inf", "-.inf",
    ".nan", ".NaN", "2024-01-01", "2024-01-01 10:00:00", "=", "<<", "0.", "1.5e+3", "1e400", "'1'", '"yes"', "!!str 1",
    "!!int '7'", "!!float 1", "[1, 0o7]", "{a: on}", "9" * 400, "0x", "08", "1__0", "1e", "e1", "0.1.2", "1,5", "&a 1",
]  # fmt: skip


class Settings(Section):
    whole: int | None = None
    number: float | None = None
    switch: bool | None = None
    text: str | None = None
    count: Annotated[int, Field(gt=0, le=10**6)] = 1


def both(folder: Path, text: str) -> tuple[Any, Any]:
    """As nerfpipe reads it and as DVC does; an exception where it is refused."""
    file = folder / "params.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    try:
        ours: Any = read_yaml(file)
    except NerfpipeError as error:
        ours = error
    try:
        theirs: Any = parse_yaml(file.read_text(encoding="utf-8"), str(file))
    except Exception as error:  # whatever DVC makes of it
        theirs = error
    return ours, theirs


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@pytest.mark.parametrize("value", TELLING)
def test_what_readers_take_differently_is_taken_as_dvc_takes_it(tmp_path: Path, value: str) -> None:
    ours, theirs = both(tmp_path, f"key: {value}\n")
    assert isinstance(ours, NerfpipeError) or same(ours, theirs)


@pytest.mark.parametrize(
    "text",
    ["%YAML 1.1\n---\na: yes\nb: 017\n", "%YAML 1.2\n---\na: yes\n", "a: &x {b: 1}\nc:\n  <<: *x\n  b: 2\n",
     "\ufeffa: 1\n", "a: 1\r\nb: 2\r\n", "1: 2\ntrue: 3\n", "a: 1\n---\nb: 2\n", "a: 1\na: 2\n", "a: |\n  x\n",
     "a: !thing 1\n"],
)  # fmt: skip
def test_whole_files_are_read_alike(tmp_path: Path, text: str) -> None:
    ours, theirs = both(tmp_path, text)
    assert isinstance(ours, NerfpipeError) or same(ours, theirs)


@settings(deadline=None)
@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.floats().map(repr), st.integers().map(str)
    )
)
def test_any_scalar_is_read_as_dvc_reads_it(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    ours, theirs = both(tmp_path_factory.getbasetemp(), f"key: {value}\n")
    assert isinstance(ours, NerfpipeError) or same(ours, theirs)


@pytest.mark.parametrize("value", TELLING)
@pytest.mark.parametrize("key", ["whole", "number", "switch", "text"])
def test_what_is_accepted_is_what_dvc_records(tmp_path: Path, key: str, value: str) -> None:
    """A text that looks like a number is none: DVC would record the text."""
    ours, theirs = both(tmp_path, f"{key}: {value}\n")
    if isinstance(ours, NerfpipeError):
        return
    found, faults = validate(Settings, ours)
    assert (found is None) == bool(faults)
    if found is not None:
        assert getattr(found, key) == theirs[key] or math.isnan(getattr(found, key))
        assert isinstance(getattr(found, key), bool) == isinstance(theirs[key], bool)


def test_a_rate_as_people_write_it_is_a_number(tmp_path: Path) -> None:
    ours, _ = both(tmp_path, "number: 1e-3\n")
    assert validate(Settings, ours)[0] == Settings(number=1e-3)


def test_a_whole_number_written_with_a_point_counts(tmp_path: Path) -> None:
    """As `dvc exp run -S count=1e3` leaves it."""
    ours, _ = both(tmp_path, "count: 1000.0\n")
    assert validate(Settings, ours)[0] == Settings(count=1000)
    ours, _ = both(tmp_path, "count: 1000.5\n")
    assert validate(Settings, ours)[0] is None


def test_merges_of_merges_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: 1}"] + [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    file = tmp_path / "params.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(NerfpipeError, match="`<<` stands for more than 10,000 keys"):
        read_yaml(file)


@pytest.mark.filterwarnings("error")
def test_an_anchor_that_is_given_anew_is_taken_without_a_word(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a: &x 1\nb: &x 2\nc: *x\n")
    assert read_yaml(file) == {"a": 1, "b": 2, "c": 2}


@pytest.mark.parametrize("key", ["number", "switch", "text", "count", "nobody"])
def test_a_number_of_thousands_of_digits_is_a_fault_of_one_line(tmp_path: Path, key: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(f"{key}: 0x{'f' * 5000}\n")
    _, [fault] = validate(Settings, read_yaml(file))
    assert fault.startswith(f"{key}: ")
    assert len(fault) < 200
    file.write_text(f"{key}: {'9' * 5000}\n")
    with pytest.raises(NerfpipeError, match="not valid YAML: a whole number has too many digits"):
        read_yaml(file)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("switch: yes", "switch: must be true or false (got 'yes')"),
        ("whole: 1:30", "whole: must be a whole number, in digits and without quotes (got '1:30')"),
        ("number: '1e-3'", "number: must be a number, in digits and without quotes (got '1e-3')"),
        ("text: 017", "text: must be text; write it in quotes (got 17)"),
    ],
)
def test_what_is_refused_is_told_how_to_write_it(tmp_path: Path, line: str, fault: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(line)
    assert validate(Settings, read_yaml(file)) == (None, [fault])

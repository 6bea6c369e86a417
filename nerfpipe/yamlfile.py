"""YAML and pydantic, joined so that every fault of a file is reported at once and in plain words."""

from __future__ import annotations

import difflib
import reprlib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from nerfpipe.errors import NerfpipeError

MERGE_TAG = "tag:yaml.org,2002:merge"  # `<<: *other`, whose keys may be given again

# Values as faults show them: a few aliases can stand for more values than memory holds.
_shown = reprlib.Repr()
_shown.maxlevel, _shown.maxstring, _shown.maxother = 2, 100, 100

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A part of a YAML file: unknown keys are faults, values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("must not be true or false")
        return value


class _Loader(yaml.SafeLoader):
    """SafeLoader that, as DVC does, refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE_TAG:
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {_shown.repr(key)} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises NerfpipeError naming file and line when it is missing, not YAML, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise NerfpipeError(f"{path}: not found; run from the project's folder") from None
    except RecursionError:
        raise NerfpipeError(f"{path}: not valid YAML: brackets or lists are nested too deep") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        problem = "is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else problem
        raise NerfpipeError(f"{path}:{line} not valid YAML: {problem}") from None
    if not isinstance(content, dict):
        raise NerfpipeError(f"{path}: must hold `key: value` lines at its top (got {type(content).__name__})")
    return content


def validate(model: type[Model], content: Any, prefix: str = "") -> tuple[Model | None, list[str]]:
    """The validated model, or None and one line per fault: `tiny.train.lr: must be … (got …)`."""
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        return None, [_fault_line(model, fault, prefix) for fault in error.errors()]


def _fault_line(model: type[BaseModel], fault: dict[str, Any], prefix: str) -> str:
    location = [str(part) for part in fault["loc"]]
    key = ".".join(plain(part) for part in ([prefix, *location] if prefix else location)) or "(top)"
    if fault["type"] == "missing":
        return f"{key}: missing"
    if fault["type"] == "extra_forbidden":
        known = _keys_beside(model, location)
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    message = fault["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    got = (
        ""
        if fault["type"] == "value_error" and isinstance(fault["input"], dict)
        else f" (got {_shown.repr(fault['input'])})"
    )
    return f"{key}: {message[:1].lower()}{message[1:]}{got}"


def plain(name: Any) -> str:
    """A key as it stands in a line: quoted and shortened where it is no plain word, for it may hold line breaks."""
    text = str(name)
    return text if text.isprintable() and 0 < len(text) <= _shown.maxstring else _shown.repr(text)


def _keys_beside(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location[:-1]:
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)

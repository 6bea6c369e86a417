"""YAML files validated by pydantic, with all faults of a file reported at once and in plain words."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from nerfpipe.config.quoting import brief, plain
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

# The fault of a value of a wrong type, with how to write it: YAML 1.1 took more words for numbers and booleans.
WRITTEN = {
    "bool_type": "must be true or false",
    "int_type": "must be a whole number, in digits and without quotes",
    "float_type": "must be a number, in digits and without quotes",
    "string_type": "must be text; write it in quotes",
}


Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A part of a YAML file. Unknown keys are faults; values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)  # a text is never taken for a number
    renamed: ClassVar[Mapping[str, str]] = {}  # a key of an earlier version -> its name now
    added: ClassVar[Mapping[str, Any]] = {}  # a key that earlier model files lack -> the value that they mean

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and kind is not bool:
            raise ValueError("must not be true or false")
        return int(value) if kind is int and isinstance(value, float) and value.is_integer() else value


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read as YAML 1.2, as DVC reads it: what DVC records is what runs.

    Raises NerfpipeError naming file and line when it is missing, not YAML, or no mapping.
    """
    from nerfpipe.config.yaml_reader import NotYamlError, parse_yaml  # slow to import

    try:
        with open_regular(path) as stream:
            content = parse_yaml(stream.read())
    except FileNotFoundError:
        raise NerfpipeError(f"{path}: not found; run from the project's folder") from None
    except NotYamlError as error:
        raise NerfpipeError(f"{path}:{error}") from None
    if not isinstance(content, dict):
        raise NerfpipeError(f"{path}: must hold `key: value` lines at its top (got {type(content).__name__})")
    return content


def as_yaml(content: dict[str, Any]) -> str:
    """A mapping as text that `read_yaml` reads back, with quotes where they are needed."""
    from ruamel.yaml import YAML

    text = io.StringIO()
    YAML().dump(content, text)
    return text.getvalue()


def validate(model: type[Model], content: Any, prefix: str = "") -> tuple[Model | None, list[str]]:
    """The validated model, or None and one line per fault: `tiny.train.lr: must be … (got …)`."""
    try:
        return model.model_validate(content), []
    except ValidationError as error:
        faults = error.errors()
    renamed = {(*fault["loc"][:-1], _new_name(model, fault)) for fault in faults}  # reported with the old name
    reported = [fault for fault in faults if fault["type"] != "missing" or fault["loc"] not in renamed]
    return None, [_fault_line(model, fault, prefix) for fault in reported]


def _new_name(model: type[BaseModel], fault: ErrorDetails) -> str | None:
    """The name that a faulty key has now, where it is a key of an earlier version."""
    section = _section_of(model, fault["loc"]) if fault["type"] == "extra_forbidden" else None
    return section.renamed.get(str(fault["loc"][-1])) if section and issubclass(section, Section) else None


def _fault_line(model: type[BaseModel], fault: ErrorDetails, prefix: str) -> str:
    location = [str(part) for part in fault["loc"]]
    key = ".".join(plain(part) for part in ([prefix, *location] if prefix else location)) or "(top)"
    if fault["type"] == "missing":
        return f"{key}: missing"
    if (name := _new_name(model, fault)) is not None:
        return f"{key}: unknown key; it is called {name} now"
    if fault["type"] == "extra_forbidden":
        section = _section_of(model, fault["loc"])
        known = list(section.model_fields) if section else []
        close = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    message = WRITTEN.get(fault["type"]) or fault["msg"].removeprefix("Value error, ").replace(
        "Input should be", "must be"
    )
    got = (
        "" if fault["type"] == "value_error" and isinstance(fault["input"], dict) else f" (got {brief(fault['input'])})"
    )
    return f"{key}: {message[:1].lower()}{message[1:]}{got}"


def _section_of(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The section that the key at this location belongs to."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return None
        model = annotation
    return model

"""YAML as DVC reads it, by the same reader and of the same version, 1.2: what DVC records is then what runs."""

from __future__ import annotations

import re
import warnings
from typing import Any

from ruamel.yaml import YAML, MappingNode
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import ReusedAnchorWarning

from nerfpipe.config.quoting import brief

MOST_MERGED = 10_000  # keys that `<<` brings to one mapping: merges of merges can stand for more than memory holds
TWICE = re.compile('found duplicate key "(.*?)" with value', re.DOTALL)  # as the reader says it
TOO_LONG = "int_max_str_digits"  # what Python speaks of where a whole number has thousands of digits


class NotYamlError(ValueError):
    """Its text says the line, where that is known, and what is wrong there: ` line 3: not valid YAML: …`."""


class _Constructor(SafeConstructor):
    def flatten_mapping(self, node: MappingNode) -> None:
        super().flatten_mapping(node)
        if len(getattr(node, "merge", None) or ()) > MOST_MERGED:
            raise ConstructorError(None, None, f"`<<` stands for more than {MOST_MERGED:,} keys", node.start_mark)


def parse_yaml(content: bytes) -> Any:
    """What a YAML text says. Raises NotYamlError."""
    reader = YAML(typ="safe")
    reader.Constructor = _Constructor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows an anchor to be given anew
            return reader.load(content.decode("utf-8"))
    except MemoryError:
        raise
    except Exception as error:  # YAML's own errors, and whatever its reader makes of what it did not expect
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise NotYamlError(f"{line} not valid YAML: {_problem(error)}") from None


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "brackets or lists are nested too deep"
    if isinstance(error, UnicodeDecodeError):
        return "is not text in UTF-8"
    text = str(getattr(error, "problem", None) or next(iter(str(error).splitlines()), type(error).__name__))
    if twice := TWICE.match(text):
        return f"the key {brief(twice[1])} is given twice"
    return "a whole number has too many digits" if TOO_LONG in text else " ".join(text.split())

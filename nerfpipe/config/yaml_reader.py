"""YAML 1.2, read by the same library as in DVC: what DVC records is what runs."""

from __future__ import annotations

import re
import warnings
from typing import Any

from ruamel.yaml import YAML, MappingNode
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import ReusedAnchorWarning

from nerfpipe.config.quoting import brief

MAX_MERGED = 10_000  # keys that `<<` adds to a mapping: merges of merges can exceed all memory
TWICE = re.compile('found duplicate key "(.*?)" with value', re.DOTALL)  # the library's message
TOO_LONG = "int_max_str_digits"  # in Python's message about a whole number of thousands of digits


class NotYamlError(ValueError):
    """A text that is not YAML. The message has the line, if known, and the fault: ` line 3: not valid YAML: …`."""


class _Constructor(SafeConstructor):
    def flatten_mapping(self, node: MappingNode) -> None:
        super().flatten_mapping(node)
        if len(getattr(node, "merge", None) or ()) > MAX_MERGED:
            raise ConstructorError(None, None, f"`<<` stands for more than {MAX_MERGED:,} keys", node.start_mark)


def parse_yaml(content: bytes) -> Any:
    """The content of a YAML text. Raises NotYamlError."""
    reader = YAML(typ="safe")
    reader.Constructor = _Constructor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it
            return reader.load(content.decode("utf-8"))
    except MemoryError:
        raise
    except Exception as error:  # the library's own errors, and others that it raises for unexpected input
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

"""typer's classes, made to print plain text and one line per error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from nerfpipe.runtime.errors import one_line_errors
from nerfpipe.runtime.terminal import plain, tidy_output


class Commands(TyperGroup):
    """Prints usage errors as plain text too: arguments may be file names, expanded from `*`."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _plain_usage_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _plain_usage_errors():
            return super().invoke(ctx)


@contextmanager
def _plain_usage_errors() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "message"):  # click's, of which typer has copies
            error.message = plain(error.message)
        raise


class Program(typer.Typer):
    """The whole command, including the help and the errors that typer prints itself."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with one_line_errors(), tidy_output():
            return super().__call__(*args, **kwargs)

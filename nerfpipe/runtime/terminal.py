"""All output of the program goes through here, so that foreign text can do no harm on a terminal.

File names, scenes' names in models, servers' answers and values of YAML are foreign. Their control characters would
move the cursor, change the window's title, or forge a line that looks like one of ours.
"""

from __future__ import annotations

import errno
import html
import io
import os
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

NOT_PLAIN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories: controls, directions, bytes that are no text, breaks
BYTES_THAT_ARE_NO_TEXT = range(0xDC80, 0xDD00)  # Python's code for such a byte of a file's name: 0xdc00 plus the byte
MAX_LINE = 8_000  # characters: twice the longest path that systems allow
SHOWN = MAX_LINE - 100  # characters of a longer line, with room for a note on its length
READER_GONE = 128 + 13  # the exit code of programs that SIGPIPE ends, as in `| head`


def plain(text: object) -> str:
    """Text as one line without control characters: `\\x1b` for the escape character, `\\n` for a line break."""
    line = str(text)
    if len(line) > MAX_LINE:
        line = f"{line[:SHOWN]}… ({len(line) - SHOWN} more characters)"
    if line.isprintable():
        return line
    return "".join(_escaped(letter) if unicodedata.category(letter) in NOT_PLAIN else letter for letter in line)


def in_page(text: object) -> str:
    """Text escaped for HTML, between tags or in quotes, and without surrogates, which could not be encoded."""
    return html.escape(plain(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if code in BYTES_THAT_ARE_NO_TEXT:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def say(line: object, aside: bool = False) -> None:
    """Print one line; `aside` is for all but results (progress, warnings, errors) and uses the standard error.

    Raises SystemExit where the reader has gone (`nerfpipe … | head -1`), and OSError where writing fails.
    """
    stream = sys.stderr if aside else sys.stdout
    if stream is None:
        return  # closed when the program started
    try:
        stream.write(_encodable(f"{plain(line)}\n", stream))
        stream.flush()
    except OSError as error:
        _give_up(stream)
        if _reader_gone(error):
            raise SystemExit(READER_GONE) from None
        if aside:
            raise SystemExit(1) from None
        error.filename = "standard output"
        raise


def _encodable(text: str, stream: TextIO) -> str:
    """The text with escapes for characters that the stream's encoding lacks: `\\xb1` in ASCII."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _reader_gone(error: OSError) -> bool:
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)  # Windows' error for it


def _give_up(stream: TextIO) -> None:
    """Send the rest of the stream to nowhere: Python would try to write it once more at exit, and fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, io.UnsupportedOperation):
        pass  # a stream that is no file


@contextmanager
def tidy_output() -> Iterator[None]:
    """Frames a whole command: libraries' warnings and tracebacks are plain too, and a closed output is no error.

    Raises SystemExit where the reader of the output has gone.
    """
    _open_closed_streams()
    _escape_unencodable()
    formatted, warnings.formatwarning = warnings.formatwarning, _format_warning
    try:
        yield
        _flush()
    except BrokenPipeError as error:
        _give_up_all()
        if error.filename is not None:
            raise
        raise SystemExit(READER_GONE) from None
    except SystemExit:
        _flush()
        raise
    except Exception:
        sys.excepthook = _print_traceback
        raise
    finally:
        warnings.formatwarning = formatted


def _open_closed_streams() -> None:
    """Open closed standard streams on the null device, or the next file opened would become the output."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, libraries ask them what they are
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _escape_unencodable() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            _give_up(stream)
            if _reader_gone(error):
                raise SystemExit(READER_GONE) from None
            error.filename = "standard output"
            raise
        except ValueError:
            pass  # closed meanwhile


def _give_up_all() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _give_up(stream)


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"{plain(f'{filename}:{lineno}: {category.__name__}: {message}')}\n"


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a bug's traceback without control characters."""
    for line in "".join(traceback.format_exception(kind, error, trace)).split("\n"):
        say(line, aside=True)

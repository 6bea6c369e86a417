"""All that the program prints goes through here, so that what strangers named can do no more than be read.

File names, scenes of models, words of servers and values of YAML come from anywhere. On a terminal their control
characters would move the cursor, change the window's title, or forge a line that looks like one of ours.
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
BYTES_THAT_ARE_NO_TEXT = range(0xDC80, 0xDD00)  # how Python holds such bytes of a file's name: 0xdc00 and the byte
LONGEST = 8_000  # characters of a line: twice the longest path that systems allow
SHOWN = LONGEST - 100  # of a longer one, which then has room to say how much longer
READER_GONE = 128 + 13  # the exit code of programs that SIGPIPE ends, as it ends others in `| head`


def plain(text: object) -> str:
    """Text as one line that a terminal shows as it is: `\\x1b` for the escape character, `\\n` for a line break."""
    line = str(text)
    if len(line) > LONGEST:
        line = f"{line[:SHOWN]}… ({len(line) - SHOWN} more characters)"
    if line.isprintable():
        return line
    return "".join(_escaped(each) if unicodedata.category(each) in NOT_PLAIN else each for each in line)


def in_page(text: object) -> str:
    """Text as it may stand in HTML, between tags or in quotes; half a surrogate could not even be written."""
    return html.escape(plain(text))


def _escaped(character: str) -> str:
    code = ord(character)
    if code in BYTES_THAT_ARE_NO_TEXT:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def say(line: object, aside: bool = False) -> None:
    """Print one line; `aside` puts what is no result (progress, warnings, errors) on the standard error.

    Raises SystemExit where whoever read it has gone (`nerfpipe … | head -1`), and OSError where it cannot be written.
    """
    stream = sys.stderr if aside else sys.stdout
    if stream is None:
        return  # closed by whoever started the program
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
    """The text without what the stream's encoding lacks: `\\xb1` for a sign that ASCII does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _reader_gone(error: OSError) -> bool:
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)  # Windows' word for it


def _give_up(stream: TextIO) -> None:
    """Let what the stream still holds, and all that follows, vanish: at its end Python would try once more and fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError, io.UnsupportedOperation):
        pass  # a stream that is no file


@contextmanager
def tidy_output() -> Iterator[None]:
    """A whole command: also what libraries print is plain, and an end of the output is no fault to be told.

    Raises SystemExit where whoever read the output has gone.
    """
    _open_what_is_closed()
    _replace_what_cannot_be_encoded()
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


def _open_what_is_closed() -> None:
    """Fill the places of standard streams that are closed, or the next file opened would become the output."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, libraries ask them what they are
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _replace_what_cannot_be_encoded() -> None:
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
    """A bug's traceback, without the control characters of what it quotes."""
    for line in "".join(traceback.format_exception(kind, error, trace)).split("\n"):
        say(line, aside=True)

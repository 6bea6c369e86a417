"""What strangers named can do no more than be read, and a reader that goes is no fault."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nerfpipe.runtime.addresses import presentable, without_secrets
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import text_path
from nerfpipe.runtime.terminal import MAX_LINE, READER_GONE, plain

ROOT = Path(__file__).parents[1]
FUNNEL = {"nerfpipe/runtime/terminal.py"}


def test_nothing_is_printed_past_the_funnel() -> None:
    printing = {
        file.relative_to(ROOT).as_posix()
        for folder in ("nerfpipe", "stages")
        for file in (ROOT / folder).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith("print(") or "sys.stderr.write" in line or "sys.stdout.write" in line
    }
    assert printing <= FUNNEL


def test_each_line_of_an_error_is_an_argument_of_its_own() -> None:
    """A line break within an argument is a stranger's, and is shown as such."""
    for folder in ("nerfpipe", "stages"):
        for file in (ROOT / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and getattr(call.func, "id", "").endswith("Error"):
                    words = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
                    assert not any("\n" in word for word in words if isinstance(word, str)), (file, call.lineno)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("söd ☃ 模型", "söd ☃ 模型"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\nerror: forged", "a\\r\\nerror: forged"),
        ("\x07\x00\x7f\x9b", "\\x07\\x00\\x7f\\x9b"),
        ("a\u202eb\u2028c\u200b", "a\\u202eb\\u2028c\\u200b"),
        ("m\udce9.png", "m\\xe9.png"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_line_without_end_is_cut() -> None:
    assert len(plain("a" * 10**6)) <= MAX_LINE


def test_an_error_is_one_line_for_each_fault_whatever_strangers_put_in() -> None:
    error = NerfpipeError("a\nerror: forged", "b\x1b[2J")
    assert str(error) == "a\\nerror: forged\nb\\x1b[2J"
    assert error.lines == ("a\\nerror: forged", "b\\x1b[2J")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a/b.zip", "https://example.org/a/b.zip"),
        ("http://127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
        ("https://user:pass@example.org/a.zip", "https://example.org/a.zip"),
        ("https://token@example.org/a.zip", "https://example.org/a.zip"),
        ("https://example.org/a.zip?token=1&X-Amz-Signature=2", "https://example.org/a.zip"),
        ("https://example.org/a.zip#secret", "https://example.org/a.zip"),
        ("https://example.org?sig=1", "https://example.org"),
    ],
)
def test_addresses_lose_what_may_be_a_password(url: str, shown: str) -> None:
    assert presentable(url) == shown
    assert without_secrets(f"got '{url}', and stopped") == f"got '{shown}', and stopped"
    assert str(NerfpipeError(f"{url}: gone")) == f"{shown}: gone"


@pytest.mark.parametrize(
    "url", ["https://u:p/w@h/x", "https://u:p#w@h/x", "u:p@h/x", "https://a b:c@h", "http://[u:p@h"]
)
def test_nothing_of_an_odd_address_slips_through(url: str) -> None:
    assert "p" not in presentable(url).removeprefix("https").removeprefix("http")


def run(*command: str, **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, text=True, stderr=subprocess.PIPE, **how)


@pytest.mark.parametrize("command", [("nerfpipe", "check"), ("nerfpipe", "doctor"), ("nerfpipe", "--help")])
def test_a_reader_that_has_gone_is_no_fault(command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*command, stdout=writing)
    os.close(writing)
    assert (done.returncode in (READER_GONE, 1), done.stderr) == (True, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_an_output_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("nerfpipe", "check", stdout=full)
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output: no room left on the disk; free some space and run the same command again\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="needs a shell of Unix")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_outputs_that_are_closed_are_no_fault(closed: str, tmp_path: Path) -> None:
    """Nor do they become the files that are opened next."""
    code = (
        "import sys\nfrom nerfpipe.runtime.progress import Progress\n"
        "from nerfpipe.runtime.terminal import say, tidy_output\n"
        "with tidy_output(), open(sys.argv[1], 'w') as file, Progress('x', 1, 'y'):\n"
        "    say('a'); say('b', aside=True); print('c'); print('d', file=sys.stderr); file.write('whole')"
    )
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", code, tmp_path / "file"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "whole"


def test_signs_that_an_output_lacks_are_written_out() -> None:
    code = "from nerfpipe.runtime.terminal import say; say('psnr ± ☃')"
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "psnr \\xb1 \\u2603\n"


@pytest.mark.skipif(os.name == "nt", reason="names of files are text on Windows")
def test_a_name_that_is_no_text_is_reached_through_a_link(tmp_path: Path) -> None:
    plain_file, odd = tmp_path / "a", Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xe9"))
    for file in (plain_file, odd):
        file.write_text("x")
        with text_path(file) as place:
            assert str(place).encode()
            assert place.read_text() == "x"
    with text_path(plain_file) as place:
        assert place == plain_file

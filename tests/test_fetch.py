"""Downloads against a real server on loopback that misbehaves in every way a server on the internet does."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import file_server
import pytest
from file_server import FileServer, redirect, status
from filelock import FileLock

from nerfpipe.archives import checksum
from nerfpipe.archives.checksum import Expected, checksum_of
from nerfpipe.download import cache, fetch
from nerfpipe.download.cache import fetch_kept
from nerfpipe.runtime.errors import NerfpipeError, one_line_errors

DATA = random.Random(0).randbytes(300_000)  # several chunks
OTHER = random.Random(1).randbytes(len(DATA))
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
HALF = len(DATA) // 2
FROM_HALF = f"bytes={HALF}-"
PAGE = b"<html>Please log in</html>"
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(fetch, "READ_SECONDS", 0.3)
    monkeypatch.setattr(fetch, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.1)


@pytest.fixture
def server():
    with file_server.running() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


def part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def refused(urls: list[str], target: Path, **expected: object) -> list[str]:
    """The error's lines; nothing may have been put in place."""
    with pytest.raises(NerfpipeError) as caught:
        fetch.fetch(urls, target, **expected)
    assert not target.exists()
    return str(caught.value).splitlines()


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# --- what the file must be ---


def test_git_blob_checksum_is_that_of_git(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello")
    assert checksum_of(tmp_path / "hello", "git-blob") == "git-blob:b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"


def test_sha256_checksum_of_a_known_example(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum_of(tmp_path / "abc", "sha256") == expected


def test_faults_of_a_file_name_both_values(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert Expected().fault(path) is None
    assert Expected(4).fault(path) == "has 3 bytes where 4 are expected"
    fault = Expected(3, SHA256).fault(path)
    assert SHA256 in fault
    assert checksum_of(path, "sha256") in fault
    path.write_bytes(b"")
    assert Expected().fault(path) == "is empty"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://host/a/tiny_nerf_data.npz", "tiny_nerf_data.npz"),
        ("https://host/a/data.npz?download=1#x", "data.npz"),
        ("https://host/a/..%2f..%2fetc%2fpasswd", "passwd"),
        ("https://host/a/..", "data"),
        ("https://host/%2e%2e%5c%2ehidden", "hidden"),
        ("https://host", "data"),
        ("https://host/my%20data%00.npz", "my_data_.npz"),
        ("https://host/" + "x" * 300 + ".npz", "x" * 96 + ".npz"),
    ],
)
def test_file_name_from_an_address(url: str, name: str) -> None:
    assert fetch.file_name(url) == name


# --- whole downloads ---


def test_whole_file(server: FileServer, target: Path) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    assert fetch.fetch([url], target, len(DATA), SHA256) == target
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]
    assert server.ranges("/data.npz") == [None]


def test_without_content_length_size_or_checksum(server: FileServer, target: Path) -> None:
    fetch.fetch([server.put("/x", file_server.file(DATA, announce=False))], target)
    assert target.read_bytes() == DATA


def test_stored_as_sent_whatever_the_content_encoding(server: FileServer, target: Path) -> None:
    url = server.put("/x.gz", lambda handler: handler.send(200, {"Content-Encoding": "gzip"}, b"not even gzip"))
    fetch.fetch([url], target)
    assert target.read_bytes() == b"not even gzip"


def test_redirect_is_followed(server: FileServer, target: Path) -> None:
    server.put("/new", file_server.file(DATA))
    fetch.fetch([server.put("/old", redirect("/new"))], target, checksum=SHA256)
    assert target.read_bytes() == DATA


def test_redirects_end(server: FileServer, target: Path) -> None:
    lines = refused([server.put("/loop", redirect("/loop"))], target)
    assert "redirects more than 10 times" in lines[0]
    assert len(server.asked) == fetch.MAX_REDIRECTS + 1


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://host/x", "data.npz", "http://[oops/x"])
def test_other_addresses_are_refused(address: str, server: FileServer, target: Path) -> None:
    for url in (address, server.put("/there", redirect(address))):
        lines = refused([url], target)
        assert lines[0].startswith(f"{url}: ")
        assert len(lines) == 2


# --- mirrors ---


def test_mirrors_in_order_and_each_failure_said(server: FileServer, target: Path, capsys) -> None:
    dead = f"http://127.0.0.1:{closed_port()}/data.npz"
    gone = server.put("/gone", status(404))
    good = server.put("/good", file_server.file(DATA))
    spare = server.put("/spare", file_server.file(DATA))
    fetch.fetch([dead, gone, good, spare], target, len(DATA), SHA256)
    assert [path for path, _ in server.asked] == ["/gone", "/good"]
    said = capsys.readouterr().err
    assert f"{dead}: Connection refused" in said
    assert f"{gone}: answered 404 Not Found" in said


def test_all_mirrors_failing_is_one_error_with_a_line_for_each(server: FileServer, target: Path) -> None:
    urls = [server.put(f"/{code}", status(code)) for code in (404, 403, 500)]
    urls.append(f"http://127.0.0.1:{closed_port()}/x")
    lines = refused(urls, target, size=len(DATA), checksum=SHA256)
    assert len(lines) == 5
    for url, line, reason in zip(urls, lines, ("404", "403", "500", "refused"), strict=False):
        assert line.startswith(f"{url}: ")
        assert reason in line
    assert "path:" in lines[-1]
    assert not part_of(target).exists()


def test_unknown_host_is_said_in_few_words(target: Path) -> None:
    lines = refused(["http://no-such-host.invalid/x"], target)
    assert len(lines[0]) < 120
    assert "Pool" not in lines[0]


# --- what is not the file ---


def test_corrupt_content_is_not_kept(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(OTHER))
    assert SHA256 in refused([url], target, size=len(DATA), checksum=SHA256)[0]
    assert not part_of(target).exists()
    assert len(server.asked) == 1  # nothing was resumed, so a second attempt would give the same


def test_corrupt_mirror_then_good_one(server: FileServer, target: Path) -> None:
    urls = [server.put("/bad", file_server.file(OTHER)), server.put("/good", file_server.file(DATA))]
    fetch.fetch(urls, target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/good") == [None]


@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("expected", [{"size": len(DATA)}, {"checksum": SHA256}, {}])
def test_web_page_instead_of_the_file(server: FileServer, target: Path, announce: bool, expected: dict) -> None:
    url = server.put("/x", file_server.file(PAGE, kind="text/html; charset=utf-8", announce=announce))
    refused([url], target, **expected)
    assert len(server.asked) == 1


def test_web_page_does_not_cost_the_partial(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(DATA[:HALF])
    page = server.put("/page", file_server.file(PAGE, kind="text/html", ranges=False))
    good = server.put("/good", file_server.file(DATA))
    fetch.fetch([page, good], target, len(DATA), SHA256)
    assert server.ranges("/good") == [FROM_HALF]


def test_another_size_announced_is_refused_unread(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(DATA + b"more"))
    assert "offers 300004 bytes" in refused([url], target, size=len(DATA))[0]


def test_more_bytes_than_expected(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(DATA + OTHER, announce=False))
    assert "more than the 300000 bytes" in refused([url], target, size=len(DATA), checksum=SHA256)[0]
    good = server.put("/good", file_server.file(DATA))
    fetch.fetch([good], target, len(DATA), SHA256)
    assert server.ranges("/good") == [None]


def test_empty_answer(server: FileServer, target: Path) -> None:
    def nothing(handler: file_server.Handler) -> None:
        handler.send(200, {"Content-Length": "0"})

    assert "is empty" in refused([server.put("/x", nothing)], target)[0]


# --- broken transfers ---


def test_truncated_transfer_is_resumed(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(DATA, sent=HALF), file_server.file(DATA))
    fetch.fetch([url], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [None, FROM_HALF]


def test_truncated_without_content_length_is_resumed(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(DATA, sent=HALF, announce=False), file_server.file(DATA))
    fetch.fetch([url], target, len(DATA), SHA256)
    assert server.ranges("/x") == [None, FROM_HALF]


def test_silent_in_the_middle_is_resumed(server: FileServer, target: Path, capsys) -> None:
    url = server.put("/x", file_server.file(DATA, sent=1 << 17, then_hang=True), file_server.file(DATA))
    fetch.fetch([url], target, checksum=SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [None, f"bytes={1 << 17}-"]
    assert f"silent for 0.3 s after {1 << 17} bytes; resuming" in capsys.readouterr().err


def test_silent_from_the_start(server: FileServer, target: Path) -> None:
    started = time.monotonic()
    assert "no answer within 0.3 s" in refused([server.put("/x", file_server.silence)], target)[0]
    assert time.monotonic() - started < 2


def test_content_length_beyond_the_content_ends(server: FileServer, target: Path) -> None:
    def lies(handler: file_server.Handler) -> None:
        handler.send(200, {"Content-Length": str(len(DATA))}, DATA[:HALF])

    lines = refused([server.put("/x", lies)], target, checksum=SHA256)
    assert "gave up after resuming 5 times" in lines[0]
    assert len(server.asked) == 1 + fetch.MAX_RESUMES
    assert part_of(target).read_bytes() == DATA[:HALF]


def test_always_truncated_makes_progress_by_resuming(server: FileServer, target: Path) -> None:
    url = server.put("/x", file_server.file(DATA, sent=len(DATA) // 4))
    fetch.fetch([url], target, len(DATA), SHA256)
    assert len(server.asked) == 4


# --- what an earlier run left ---


def test_partial_is_resumed(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(DATA[:HALF])
    fetch.fetch([server.put("/x", file_server.file(DATA))], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [FROM_HALF]


def test_range_ignored_starts_over(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(OTHER[:HALF])
    fetch.fetch([server.put("/x", file_server.file(DATA, ranges=False))], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [FROM_HALF]


def test_corrupt_partial_costs_one_fresh_attempt(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(OTHER[:HALF])
    fetch.fetch([server.put("/x", file_server.file(DATA))], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [FROM_HALF, None]


def test_only_one_fresh_attempt(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(DATA[:HALF])
    refused([server.put("/x", file_server.file(OTHER))], target, size=len(DATA), checksum=SHA256)
    assert server.ranges("/x") == [FROM_HALF, None]
    assert not part_of(target).exists()


def test_complete_partial_needs_no_network(target: Path) -> None:
    part_of(target).write_bytes(DATA)
    fetch.fetch([f"http://127.0.0.1:{closed_port()}/x"], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA


def test_complete_partial_of_unknown_size(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(DATA)
    fetch.fetch([server.put("/x", file_server.file(DATA))], target, checksum=SHA256)  # answers 416
    assert target.read_bytes() == DATA
    assert len(server.asked) == 1


@pytest.mark.parametrize("size", [len(DATA), None])
def test_partial_longer_than_the_file(server: FileServer, target: Path, size: int | None) -> None:
    part_of(target).write_bytes(DATA + b"more")
    fetch.fetch([server.put("/x", file_server.file(DATA))], target, size, SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x")[-1] is None


@pytest.mark.parametrize(
    "answer",
    [
        status(416),
        status(206, Content_Range=f"bytes 7-{len(DATA) - 1}/{len(DATA)}"),
        status(206, Content_Range="lines 1-2"),
    ],
)
def test_wrong_answer_to_a_range_starts_over(server: FileServer, target: Path, answer: file_server.Answer) -> None:
    part_of(target).write_bytes(DATA[:HALF])
    url = server.put("/x", answer, file_server.file(DATA))
    fetch.fetch([url], target, len(DATA), SHA256)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [FROM_HALF, None]


def interrupt_after_first_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: object, amount: int) -> None:
        monkeypatch.undo()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.Progress, "advance", interrupt)


@pytest.mark.parametrize("checksum", [SHA256, None])
def test_interrupted_then_resumed(server: FileServer, target: Path, monkeypatch, checksum: str | None) -> None:
    url = server.put("/x", file_server.file(DATA))
    interrupt_after_first_chunk(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch([url], target, checksum=checksum)
    got = part_of(target).stat().st_size
    assert 0 < got < len(DATA)
    fetch.fetch([url], target, checksum=checksum)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [None, f"bytes={got}-"]


def test_unverified_partial_of_a_changed_file_is_not_mixed(server: FileServer, target: Path, monkeypatch) -> None:
    url = server.put("/x", file_server.file(OTHER, etag='"v1"'), file_server.file(DATA, etag='"v2"'))
    interrupt_after_first_chunk(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch([url], target)
    fetch.fetch([url], target)
    assert target.read_bytes() == DATA
    assert server.asked[1][1]["If-Range"] == '"v1"'


def test_unverified_partial_is_not_continued_at_another_address(server: FileServer, target: Path, monkeypatch) -> None:
    one, two = server.put("/1", file_server.file(OTHER)), server.put("/2", file_server.file(DATA))
    interrupt_after_first_chunk(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch([one], target)
    fetch.fetch([two], target)
    assert target.read_bytes() == DATA
    assert server.ranges("/2") == [None]


def test_weak_etag_cannot_vouch_for_a_partial(server: FileServer, target: Path, monkeypatch) -> None:
    url = server.put("/x", file_server.file(DATA, etag='W/"v1"'))
    interrupt_after_first_chunk(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch([url], target)
    fetch.fetch([url], target)
    assert server.ranges("/x") == [None, None]


def test_unverified_partial_of_unknown_origin_is_not_used(server: FileServer, target: Path) -> None:
    part_of(target).write_bytes(OTHER[:HALF])
    fetch.fetch([server.put("/x", file_server.file(DATA))], target, len(DATA))
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [None]


# --- the disk ---


def test_no_room_is_found_before_anything_is_written(server: FileServer, target: Path, monkeypatch) -> None:
    usage = shutil.disk_usage(target.parent)._replace(free=len(DATA) + checksum.SPARE_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    urls = [server.put("/x", file_server.file(DATA)), server.put("/y", file_server.file(DATA))]
    lines = refused(urls, target, size=len(DATA), checksum=SHA256)
    assert len(lines) == 1
    assert "free some space" in lines[0]
    assert len(server.asked) == 1
    assert part_of(target).stat().st_size == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=usage.free + 1))
    fetch.fetch(urls, target, len(DATA), SHA256)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
def test_disk_that_fills_up_meanwhile(server: FileServer, target: Path, capsys) -> None:
    part_of(target).symlink_to("/dev/full")
    with pytest.raises(SystemExit) as caught, one_line_errors():
        fetch.fetch([server.put("/x", file_server.file(DATA))], target, len(DATA), SHA256)
    assert caught.value.code == 1
    assert f"error: {part_of(target)}: no room left on the disk" in capsys.readouterr().err
    assert not target.exists()


# --- kept downloads ---


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("checksum", [SHA256, None])
@pytest.mark.parametrize("size", [len(DATA), None])
def test_kept_download_needs_no_server(server: FileServer, project: Path, size, checksum) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    first = fetch_kept([url], size, checksum)
    server.stop()
    assert fetch_kept([url], size, checksum) == first
    assert first.read_bytes() == DATA
    assert first.resolve().is_relative_to(project / ".nerfpipe" / "downloads")


def test_kept_download_is_shared_with_queued_runs(server: FileServer, project: Path, monkeypatch) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    fetch_kept([url], checksum=SHA256)
    server.stop()
    monkeypatch.setenv("DVC_ROOT", str(project))
    (project / "queued").mkdir()
    monkeypatch.chdir(project / "queued")
    assert fetch_kept([url], checksum=SHA256).read_bytes() == DATA


@pytest.mark.parametrize("checksum", [SHA256, None])
def test_damaged_kept_download_is_fetched_again(server: FileServer, project: Path, checksum, capsys) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    kept = fetch_kept([url], checksum=checksum)
    kept.write_bytes(OTHER)
    assert fetch_kept([url], checksum=checksum).read_bytes() == DATA
    assert len(server.asked) == 2
    assert "fetching it again" in capsys.readouterr().out


def test_checksum_seen_is_printed_and_recording_it_needs_no_download(server: FileServer, project: Path, capsys) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    fetch_kept([url])
    assert f"checksum: {SHA256}" in capsys.readouterr().out
    fetch_kept([url], len(DATA), SHA256)
    assert len(server.asked) == 1


def test_other_addresses_or_size_without_checksum_are_fetched(server: FileServer, project: Path) -> None:
    one, two = server.put("/1", file_server.file(DATA)), server.put("/2", file_server.file(OTHER))
    assert fetch_kept([one]).read_bytes() == DATA
    assert fetch_kept([two]).read_bytes() == OTHER
    server.put("/1", file_server.file(DATA + b"more"))
    assert fetch_kept([one], len(DATA) + 4).read_bytes() == DATA + b"more"


def test_a_lost_download_is_held_to_the_checksum_seen(server: FileServer, project: Path) -> None:
    urls = [server.put("/1", file_server.file(DATA)), server.put("/2", file_server.file(DATA))]
    kept = fetch_kept(urls)
    kept.unlink()
    server.put("/1", file_server.file(OTHER))
    assert fetch_kept(urls).read_bytes() == DATA  # from the mirror
    kept.unlink()
    server.put("/2", file_server.file(OTHER))
    with pytest.raises(NerfpipeError) as caught:
        fetch_kept(urls)
    *addresses, _, last = str(caught.value).splitlines()
    assert all(f"where {SHA256} is expected" in line for line in addresses)
    note = re.fullmatch(
        r"(\S+\.json): has the checksum of an earlier download; delete it to accept another file", last
    )[1]
    Path(note).unlink()
    assert fetch_kept(urls).read_bytes() == OTHER


def test_two_at_once_is_one_clear_line(server: FileServer, project: Path) -> None:
    url = server.put("/data.npz", file_server.file(DATA))
    kept = fetch_kept([url], checksum=SHA256)
    with FileLock(f"{kept}.lock"), pytest.raises(NerfpipeError) as caught:
        fetch_kept([url], checksum=SHA256)
    assert str(caught.value).splitlines() == [
        "data.npz: another run is fetching it; wait for that, then run this again"
    ]
    assert fetch_kept([url], checksum=SHA256) == kept


def test_killed_then_resumed(server: FileServer, project: Path) -> None:
    url = server.put("/data.npz", file_server.file(DATA, sent=1 << 17, then_hang=True), file_server.file(DATA))
    code = f"from nerfpipe.download.cache import fetch_kept; fetch_kept([{url!r}], {len(DATA)}, {SHA256!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    part = Path(".nerfpipe/downloads") / f"{SHA256.replace(':', '-')}.part"
    try:
        deadline = time.monotonic() + 10
        while not (part.exists() and part.stat().st_size == 1 << 17) and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert fetch_kept([url], len(DATA), SHA256).read_bytes() == DATA
    assert server.ranges("/data.npz") == [None, f"bytes={1 << 17}-"]

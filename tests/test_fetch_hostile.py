"""Servers that lie about versions, never come to an end, or would see passwords printed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import file_server
import pytest
from file_server import Handler, redirect, status

from nerfpipe.archives import checksum
from nerfpipe.download import cache, fetch
from nerfpipe.download.cache import fetch_kept
from nerfpipe.download.partial import Partial, Version
from nerfpipe.runtime.errors import NerfpipeError

DATA = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(len(DATA))
HALF = len(DATA) // 2
SECONDS = 0.5  # that each limit is made here
V1 = Version('"v1"', total=len(DATA))


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("ANSWER_SECONDS", "PACE_SECONDS"):
        monkeypatch.setattr(fetch, name, SECONDS)
    monkeypatch.setattr(fetch, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(cache, "LOCK_SECONDS", 0.1)


@pytest.fixture
def server():
    with file_server.running() as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data.npz"


def refused(urls: list[str], target: Path, **expected: object) -> list[str]:
    with pytest.raises(NerfpipeError) as caught:
        fetch.fetch(urls, target, **expected)
    assert not target.exists()
    return list(caught.value.lines)


def begin(target: Path, url: str, version: Version, held: bytes = OTHER[:HALF]) -> None:
    """What an interrupted download of the version left."""
    part = Partial(target)
    part.begin(url, version)
    part.path.write_bytes(held)


def rest(total: object = len(DATA), first: int = HALF, last: int = len(DATA) - 1, **headers: object):
    """A 206 that claims to go on from the half, whatever was asked for."""
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return lambda handler: handler.send(206, {"Content-Range": f"bytes {first}-{last}/{total}", **named}, DATA[HALF:])


# --- other versions of a file ---


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (V1, rest(ETag='"v2"')),
        (V1, rest()),
        (V1, rest(ETag='W/"v1"')),
        (V1, rest(len(DATA) + 5, ETag='"v1"')),
        (V1, rest(ETag='"v1"', Content_Encoding="gzip")),
        (V1, rest(ETag='"v1"', Content_Length=7)),
        (V1, rest(ETag='"v1"', first=HALF + 1)),
        (V1, rest(HALF, ETag='"v1"')),
        (V1, rest("9" * 400, ETag='"v1"')),
        (V1, rest("x", ETag='"v1"')),
        (V1, status(206, ETag='"v1"', Content_Type="multipart/byteranges; boundary=x")),
        (V1, status(416, Content_Range="bytes */7")),
        (Version('"v1"', total=len(DATA) - 9), status(416, Content_Range=f"bytes */{HALF}")),
        (Version(modified="Mon, 01 Jan 2024 00:00:00 GMT"), rest(Last_Modified="Tue, 02 Jan 2024 00:00:00 GMT")),
        (Version('W/"a"', "Mon, 01 Jan 2024 00:00:00 GMT"), rest(ETag='W/"b"')),
    ],
)
@pytest.mark.parametrize("size", [None, len(DATA)])
def test_the_rest_of_another_version_is_not_appended(server, target, begun: Version, answer, size) -> None:
    url = server.put("/x", answer, file_server.file(DATA))
    begin(target, url, begun)
    fetch.fetch([url], target, size)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [f"bytes={HALF}-", None]


@pytest.mark.parametrize(
    ("begun", "answer"),
    [
        (V1, rest(ETag='"v1"')),
        (V1, rest("*", ETag='"v1"')),
        (Version('"v1"'), rest(ETag='"v1"', Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")),
        (Version(modified="Mon, 01 Jan 2024 00:00:00 GMT"), rest()),
    ],
)
def test_the_rest_of_the_same_version_is(server, target, begun: Version, answer) -> None:
    url = server.put("/x", answer)
    begin(target, url, begun, DATA[:HALF])
    fetch.fetch([url], target)
    assert target.read_bytes() == DATA
    assert len(server.asked) == 1


def test_a_server_that_changes_its_mind_each_time_is_left(server, target) -> None:
    tags = itertools.count()
    url = server.put("/x", lambda handler: file_server.file(DATA, etag=f'"{next(tags)}"', sent=HALF)(handler))
    assert "gave up after resuming 5 times" in refused([url], target)[0]


def test_a_version_whose_name_cannot_be_sent_back_is_fetched_anew(server, target) -> None:
    def folded(handler: Handler) -> None:
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "a\r\n b"\r\nContent-Length: 9\r\n\r\nhalf')

    url = server.put("/x", folded, file_server.file(DATA))
    fetch.fetch([url], target)
    assert target.read_bytes() == DATA
    assert server.ranges("/x") == [None, None]


def test_a_redirect_while_resuming_is_followed_with_the_range(server, target) -> None:
    url = server.put("/x", redirect(server.put("/elsewhere", file_server.file(DATA))))
    begin(target, url, V1, DATA[:HALF])
    fetch.fetch([url], target)
    assert target.read_bytes() == DATA
    assert server.ranges("/elsewhere") == [f"bytes={HALF}-"]


# --- no end ---


def raw(before: bytes, piece: bytes, pause: float = 0.0):
    def answer(handler: Handler) -> None:
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.wfile.write(before)
            while not handler.server.closing.wait(pause):
                handler.wfile.write(piece)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (raw(b"", b"H", 0.05), "no whole answer within 0.5 s"),
        (raw(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.05), "no whole answer within 0.5 s"),
        (raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), "no whole answer within 0.5 s"),
        (raw(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), "headers"),
        (raw(b"HTTP/1.1 302 Found\r\nLocation: /missing\r\n\r\n", b"x" * 65536), "answered 404 Not Found"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b"x", 0.05), "sends less than 1000 bytes a second"),
        (raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05), "sends less than 1000 bytes a second"),
        (raw(CHUNKED, b"0", 0.05), "sends less than 1000 bytes a second"),
        (raw(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n" * 99), "sends less than 1000 bytes a second"),
    ],
)
def test_a_server_that_never_ends_is_left_for_the_next(server, target, answer, said: str, capsys) -> None:
    started = time.monotonic()
    fetch.fetch([server.put("/x", answer), server.put("/y", file_server.file(DATA))], target)
    assert time.monotonic() - started < 20 * SECONDS
    assert said in capsys.readouterr().err
    assert target.read_bytes() == DATA


def test_redirects_share_one_deadline(server, target) -> None:
    def later(handler: Handler) -> None:
        time.sleep(SECONDS / 3)
        redirect("/x")(handler)

    assert "no whole answer within 0.5 s" in refused([server.put("/x", later)], target)[0]


def test_what_a_slow_server_gave_is_kept(server, target, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "MIN_SPEED", 10**9)
    url = server.put("/x", file_server.file(DATA, sent=HALF, then_hang=True))
    refused([url], target)
    assert Partial(target).path.read_bytes() == DATA[:HALF]
    assert Partial(target).begun(url) == V1


@contextlib.contextmanager
def listening(greeting: bytes) -> Iterator[str]:
    """A server that is none of TLS: it sends so much of a greeting, byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    for byte in itertools.chain(greeting, itertools.repeat(0)):
                        connection.sendall(bytes([byte]))
                        time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/x"
    thread.join()


def test_a_handshake_that_trickles_ends(target) -> None:
    record = bytes([22, 3, 3, 0x3F, 0xFF])  # of a handshake, with 16 kB to come
    with listening(record) as url:
        started = time.monotonic()
        assert "no whole answer within 0.5 s" in refused([url], target)[0]
        assert time.monotonic() - started < 10 * SECONDS


def test_room_is_looked_at_as_it_fills(server, target, monkeypatch) -> None:
    monkeypatch.setattr(fetch, "ROOM_BYTES", 100_000)
    usage, left = shutil.disk_usage(target.parent), itertools.chain([10**12, 10**12, 10**12], itertools.repeat(0))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(left)))
    lines = refused([server.put("/x", file_server.file(DATA))], target)
    assert len(lines) == 1
    assert "free some space" in lines[0]
    assert 0 < Partial(target).size < len(DATA)


def test_a_body_of_untold_size_does_not_fill_the_disk(server, target, monkeypatch) -> None:
    free = checksum.SPARE_BYTES + 400_000
    usage = shutil.disk_usage(target.parent)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    lines = refused([server.put("/x", raw(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536))], target)
    assert "give its size as `bytes:`" in lines[0]
    assert Partial(target).size == 0


def test_a_size_that_no_disk_has_room_for_is_one_mirrors_word(server, target) -> None:
    huge = server.put("/x", lambda handler: handler.send(200, {"Content-Length": str(10**17)}))
    fetch.fetch([huge, server.put("/y", file_server.file(DATA))], target)
    assert target.read_bytes() == DATA


# --- passwords ---


SECRETS = ("hunter2", "t0ken", "s1g", "fr4g")


def secret(url: str) -> str:
    """The address with a user, a password, tokens and a fragment."""
    return url.replace("http://", "http://me:hunter2@") + "?token=t0ken&X-Amz-Signature=s1g#fr4g"


def shown(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    captured = capsys.readouterr()
    return "\n".join([captured.out, captured.err, *more])


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_password_is_shown_or_noted(server, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    query = "?token=t0ken&X-Amz-Signature=s1g"
    bad, good = secret(server.put("/bad.npz", status(404))), secret(server.put("/good.npz", status(404)))
    server.put(f"/good.npz{query}", file_server.file(DATA, sent=HALF), file_server.file(DATA))
    kept = fetch_kept([bad, good])
    assert kept.read_bytes() == DATA
    said = shown(capsys)
    assert "/bad.npz: answered 404 Not Found" in said
    for text in [said, *(path.read_text("latin-1") for path in files_below(tmp_path) if path != kept)]:
        assert not any(word in text for word in SECRETS)
    asked = dict(server.asked)
    assert asked[f"/good.npz{query}"]["Authorization"].startswith("Basic ")  # they are sent all the same


@pytest.mark.parametrize(
    "place",
    [
        "ftp://me:hunter2@127.0.0.1/x?token=t0ken",
        "http://me:hunter2@127.0.0.1:1/x?token=t0ken#fr4g",
        "http://me:hunter2@[oops/x?token=t0ken",
        "http://me:hunter2@a..b/x?token=t0ken",
        "http://me:hunter2@:80/?token=t0ken",
        "http://me:hunter2@127.0.0.1:99999999/x?sig=s1g",
        "http://me:hun/ter2@127.0.0.1/x",
    ],
)
def test_no_fault_of_an_address_shows_its_password(server, target, place: str, capsys) -> None:
    for url in (place, server.put("/x", redirect(place))):
        said = shown(capsys, *refused([url], target))
        assert not any(word in said for word in (*SECRETS, "ter2"))


def test_a_password_goes_to_no_other_host(server, target) -> None:
    with file_server.running() as other:
        place = other.put("/x", file_server.file(DATA))
        url = server.put("/x", redirect(place)).replace("http://", "http://me:hunter2@")
        fetch.fetch([url], target)
        assert "Authorization" not in other.asked[0][1]
    assert "Authorization" in server.asked[0][1]


def test_a_password_stays_with_its_own_host(server, target) -> None:
    place = server.put("/y", file_server.file(DATA))
    url = server.put("/x", redirect(place)).replace("http://", "http://me:hunter2@")
    fetch.fetch([url], target)
    assert all("Authorization" in headers for _, headers in server.asked)


def test_a_password_may_come_from_netrc(server, target, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2")
    monkeypatch.setenv("NETRC", str(netrc))
    fetch.fetch([server.put("/x", file_server.file(DATA))], target)
    assert server.asked[0][1]["Authorization"].startswith("Basic ")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_notes_are_for_their_owner_alone(server, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    fetch_kept([server.put("/x.npz", file_server.file(DATA))])
    begin(tmp_path / "y", "http://127.0.0.1/y", V1)
    notes = [path for path in files_below(tmp_path) if path.suffix == ".json"]
    assert len(notes) == 2
    assert {path.stat().st_mode & 0o777 for path in notes} == {0o600}


def test_a_note_of_an_earlier_version_loses_its_password(server, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    url = secret(server.put("/x.npz?token=t0ken&X-Amz-Signature=s1g", file_server.file(DATA)).split("?")[0])
    fetch_kept([url])
    [note] = [path for path in files_below(tmp_path) if path.suffix == ".json"]
    note.write_text(json.dumps(json.loads(note.read_text()) | {"url": [url]}))
    note.chmod(0o644)
    server.stop()
    fetch_kept([url])
    assert not any(word in note.read_text() for word in SECRETS)

"""Archives: what is sound comes out as it went in; all else is one line, and nothing is written out of the folder."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerfpipe.archives import checksum, readers
from nerfpipe.archives import unpack as unpacking
from nerfpipe.archives.readers import archive_kind
from nerfpipe.archives.subfolder import NoSuchFolderError
from nerfpipe.archives.unpack import unpack
from nerfpipe.runtime.errors import NerfpipeError, describe_os_error
from nerfpipe.runtime.files import atomic_folder

SCENE = {"transforms.json": b"{}", "images/1.png": b"one" * 50_000, "images/2.png": b"", "sparse/0/cameras.bin": b"c"}
CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"  # the two headers of every member of a zip
CENTRAL_FLAGS, LOCAL_FLAGS, CENTRAL_METHOD = 8, 6, 10  # places in them
CENTRAL_SIZE, LOCAL_SIZE, CENTRAL_OFFSET = 24, 22, 42


def make_zip(path: Path, files: dict[str, bytes], mode: int | None = None, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0 if mode is None else mode << 16
            made.writestr(info, data, method)
    return path


def make_tar(path: Path, files: dict[str, bytes], packing: str = "", **fields: object) -> Path:
    """`fields` are set in every header."""
    with tarfile.open(path, f"w:{packing}") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            made.addfile(info, io.BytesIO(data))
    return path


def make_tgz(path: Path, files: dict[str, bytes], **fields: object) -> Path:
    return make_tar(path, files, "gz", **fields)


MAKERS: dict[str, Callable[..., Path]] = {"a.zip": make_zip, "a.tar": make_tar, "a.tar.gz": make_tgz}
every_kind = pytest.mark.parametrize("name", MAKERS)


def patched(path: Path, header: bytes, place: int, layout: str, value: int) -> Path:
    """The zip with a field of its first header of that kind changed."""
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, data.index(header) + place, value)
    path.write_bytes(data)
    return path


def unpacked(path: Path, inside: str | None = None) -> dict[str, bytes]:
    folder = path.parent / "raw"
    folder.mkdir()
    places = unpack(path, archive_kind(path, path.name), folder, "desk", inside)
    files = contents(folder)
    assert sorted(places) == sorted(files)
    return files


def contents(folder: Path) -> dict[str, bytes]:
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(path: Path, inside: str | None = None, early: bool = True) -> str:
    """The line that the archive is refused with; nothing stays behind, and `early` refusals write nothing at all."""
    before = contents(path.parent)
    target = path.parent / "raw"
    with pytest.raises(NerfpipeError) as caught, _watched(target, early) as folder:
        unpack(path, archive_kind(path, path.name), folder, "desk", inside)
    assert not target.exists()
    assert contents(path.parent) == before
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert "; " in line  # what to do
    return line.removeprefix(f"{path}: ")


@contextmanager
def _watched(target: Path, early: bool) -> Iterator[Path]:
    with atomic_folder(target) as folder:
        try:
            yield folder
        finally:
            assert not early or not any(folder.iterdir())


def outcome(path: Path, inside: str | None = None) -> dict[str, bytes] | str:
    """The files, or the line that the archive is refused with."""
    try:
        return unpacked(path, inside)
    except (NerfpipeError, NoSuchFolderError) as error:
        return str(error)


# --- sound archives ---


@every_kind
def test_all_files_come_out_as_they_went_in(name: str, tmp_path: Path) -> None:
    assert unpacked(MAKERS[name](tmp_path / name, SCENE)) == SCENE


@every_kind
def test_a_folder_around_everything_is_left_out(name: str, tmp_path: Path) -> None:
    around = {f"./desk//{place}": data for place, data in SCENE.items()} | {"__MACOSX/desk/._1.png": b"x"}
    assert unpacked(MAKERS[name](tmp_path / name, around)) == SCENE


def test_only_one_folder_around_is_left_out(tmp_path: Path) -> None:
    assert unpacked(make_zip(tmp_path / "a.zip", {"a/images/1.png": b"1"})) == {"images/1.png": b"1"}


@every_kind
def test_what_systems_leave_behind_is_skipped(name: str, tmp_path: Path) -> None:
    junk = {"__MACOSX/images/1.png": b"x", "images/.DS_Store": b"x", "Thumbs.db": b"x", "images/._1.png": b"x"}
    assert unpacked(MAKERS[name](tmp_path / name, SCENE | junk)) == SCENE


def test_a_tar_made_of_a_folder(tmp_path: Path) -> None:
    """With ./ before every name, and headers for the folders."""
    for place, data in SCENE.items():
        (tmp_path / "desk" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "desk" / place).write_bytes(data)
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as made:
        made.add(tmp_path / "desk", ".")
    assert unpacked(tmp_path / "a.tgz") == SCENE


def test_long_and_foreign_names(tmp_path: Path) -> None:
    files = {f"{'längst/' * 20}{'名' * 60}.png": b"1", "a b.png": b"2"}
    for name, make in MAKERS.items():
        (tmp_path / name).mkdir()
        assert unpacked(make(tmp_path / name / name, files)) == files


@every_kind
def test_permissions_are_not_taken_over(name: str, tmp_path: Path) -> None:
    unpacked(MAKERS[name](tmp_path / name, {"run.sh": b"#!"}, mode=0o6777))
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "raw/run.sh").stat().st_mode == plain.stat().st_mode


def test_archives_that_were_stored_are_read(tmp_path: Path) -> None:
    assert unpacked(make_zip(tmp_path / "a.zip", SCENE, method=zipfile.ZIP_STORED)) == SCENE


# --- which files are archives ---


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("scene.zip", make_zip, "zip"),
        ("SCENE.ZIP", make_zip, "zip"),
        ("download", make_zip, "zip"),
        ("download", make_tar, "tar"),
        ("download", make_tgz, "tar"),
        ("scene.zip", make_tgz, "tar"),
        ("scene.npz", make_zip, None),
    ],
)
def test_kinds_by_content(name: str, make: Callable[..., Path], kind: str | None, tmp_path: Path) -> None:
    assert archive_kind(make(tmp_path / "kept", SCENE), name) == kind


@pytest.mark.parametrize(("name", "kind"), [("a.zip", "zip"), ("a.tgz", "tar"), ("a.ply", None), ("a.mp4", None)])
@pytest.mark.parametrize("data", [b"", b"<html>", gzip.compress(b"no tar"), gzip.compress(b"no")[:-9], b"\x1f\x8b"])
def test_kinds_of_what_is_no_archive(name: str, kind: str | None, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(data)
    assert archive_kind(tmp_path / "kept", name) == kind


def test_arrays_without_a_suffix_are_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "kept").open("wb") as file:
        np.savez(file, images=np.zeros(3), poses=np.zeros(4))
    assert archive_kind(tmp_path / "kept", "download") is None
    assert archive_kind(tmp_path / "kept", "arrays.zip") == "zip"


@pytest.mark.parametrize("name", ["a.7z", "a.RAR", "a.tar.xz", "a.tbz2"])
def test_other_archives_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NerfpipeError, match=r"only \.zip, \.tar and \.tar\.gz are unpacked here; unpack it yourself"):
        archive_kind(tmp_path / name, name)


# --- folder: ---

SEVERAL = {"README.txt": b"r", "all/lego/1.png": b"l", "all/ship/1.png": b"s", "all/ship/deep/2.png": b"d"}


@pytest.mark.parametrize("inside", ["all/ship", "ship", "./all/ship/"])
@every_kind
def test_only_the_folder_named_is_unpacked(name: str, inside: str, tmp_path: Path) -> None:
    assert unpacked(MAKERS[name](tmp_path / name, SEVERAL), inside) == {"1.png": b"s", "deep/2.png": b"d"}


def test_the_whole_archive_as_it_is(tmp_path: Path) -> None:
    files = {"desk/1.png": b"1"}
    assert unpacked(make_zip(tmp_path / "a.zip", files), ".") == files


@pytest.mark.parametrize(
    ("inside", "files", "words"),
    [
        ("all/leg", SEVERAL, "has no folder all/leg; it has all/lego, all/ship"),
        ("leg", SEVERAL, "has no folder leg; it has all/lego, all/ship"),
        ("ship/deeper", SEVERAL, "has no folder ship/deeper; it has all/ship/deep"),
        ("lego/1.png", SEVERAL, "it has all/lego, all/ship"),
        ("x", {"a": b"", "b": b""}, "has no folder x; it has no folders"),
        ("x", {f"{n:02}/a": b"" for n in range(14)}, "02, 03, 04, 05, 06, 07, 08, 09, 10, 11 and 2 more"),
        ("x", {"a/x/1": b"", "b/x/1": b""}, "has no folder x; it has a, b"),  # which of the two?
    ],
)
def test_a_folder_that_is_not_there(inside: str, files: dict[str, bytes], words: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchFolderError) as caught:
        unpacked(make_zip(tmp_path / "a.zip", files), inside)
    assert str(caught.value).endswith(words)
    assert contents(tmp_path / "raw") == {}


def test_faults_of_other_folders_do_not_stand_in_the_way(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"other/C:/x": b"x", "ship/1.png": b"s", "../x": b"x"})
    assert unpacked(path, "ship") == {"1.png": b"s"}


# --- names that lead elsewhere ---

ESCAPES = {
    "../evil": "leads out",
    "a/../../evil": "leads out",
    "a/..": "leads out",
    "/tmp/evil": "leads out",
    "//server/share/evil": "leads out",
    "C:/evil": "names a drive",
    "C:evil": "names a drive",
    "a/c:/evil": "names a drive",
    "a\\evil": "backslash",
    "..\\evil": "backslash",
    "\\\\server\\evil": "backslash",
    "... /evil": "dots or spaces",
    "a/.. /evil": "dots or spaces",
    " /evil": "dots or spaces",
    "a\nb": "no text",
    "a\x1b[2Jb": "no text",
    "d/" * 40 + "deep": "more than 32 folders deep",
    ".": "no name",
}


@pytest.mark.parametrize("evil", ESCAPES, ids=ascii)
@every_kind
def test_names_that_lead_elsewhere(name: str, evil: str, tmp_path: Path) -> None:
    line = refusal(MAKERS[name](tmp_path / name, SCENE | {evil: b"evil"}))
    assert line.startswith(f"{evil!r} ")
    assert ESCAPES[evil] in line


def test_a_name_cut_by_a_null(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"good": b"", "a.pngX": b""})
    path.write_bytes(path.read_bytes().replace(b"a.pngX", b"a.png\0"))
    assert "'a.png\\x00' has characters in its name that are no text" in refusal(path)


def test_a_tar_name_that_is_no_text(tmp_path: Path) -> None:
    assert "no text" in refusal(make_tar(tmp_path / "a.tar", SCENE | {"\udcff.png": b""}))


def test_several_faults_are_counted(tmp_path: Path) -> None:
    line = refusal(make_zip(tmp_path / "a.zip", {"../1": b"", "../2": b"", "../3": b"", "ok": b""}))
    assert line.startswith("'../1' leads out of the folder")
    assert line.endswith(" (2 more like it)")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("a.png", "A.PNG", "'A.PNG' and 'a.png' are one file to some systems"),
        ("images/ä", "images/a\u0308", "one file to some systems"),
        ("straße", "STRASSE", "one file to some systems"),
        ("a.png", "a.png.", "one file to some systems"),
        ("a/b", "./a//b", "'./a//b' is in it twice"),
        ("a", "a/b", "'a' is both a file and a folder"),
        ("A/b", "a", "'a' is both a file and a folder"),
    ],
)
@every_kind
def test_files_that_would_overwrite_others(name: str, first: str, second: str, words: str, tmp_path: Path) -> None:
    line = refusal(MAKERS[name](tmp_path / name, {"x": b"", first: b"1", second: b"2"}))
    assert words in line


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.png": b"1", "b.png": b"2"})
    path.write_bytes(path.read_bytes().replace(b"b.png", b"a.png"))
    assert "'a.png' is in it twice" in refusal(path)


# --- links and other things ---


def test_links_in_a_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"link": b"/etc/passwd", "b": b""}, mode=stat.S_IFLNK | 0o777)
    assert refusal(path).startswith("'link' is a link; put the file itself in its place")


def test_special_files_in_a_zip(tmp_path: Path) -> None:
    assert "neither a file nor a folder" in refusal(make_zip(tmp_path / "a.zip", {"pipe": b""}, mode=stat.S_IFIFO))


@pytest.mark.parametrize("make", [make_tar, make_tgz])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "neither a file nor a folder"),
        (tarfile.CHRTYPE, "neither a file nor a folder"),
        (tarfile.BLKTYPE, "neither a file nor a folder"),
        (b"Z", "neither a file nor a folder"),
    ],
)
def test_links_and_special_files_in_a_tar(make: Callable[..., Path], kind: bytes, words: str, tmp_path: Path) -> None:
    path = make(tmp_path / "a.tar.gz", {"odd": b"", "plain": b""}, type=kind, linkname="/etc/passwd")
    assert refusal(path).startswith("'odd' ")
    assert words in refusal(path)


def test_a_file_written_through_a_link_before_it(tmp_path: Path) -> None:
    """The classic: a link to a folder elsewhere, then a file below it."""
    with tarfile.open(tmp_path / "a.tar", "w") as made:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        made.addfile(link)
        made.addfile(tarfile.TarInfo("out/evil"))
    assert "is a link" in refusal(tmp_path / "a.tar")


def test_encrypted_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", SCENE)
    patched(patched(path, LOCAL, LOCAL_FLAGS, "<H", 1), CENTRAL, CENTRAL_FLAGS, "<H", 1)
    assert "'transforms.json' is encrypted; unpack it yourself and name the folder with `path:`" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, 9, 99])
def test_other_ways_of_packing(method: int, tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "a.zip", SCENE), CENTRAL, CENTRAL_METHOD, "<H", method)
    assert "is packed in a way that is not read here" in refusal(path)


def test_sparse_tar(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", {"holes": b""}, type=tarfile.GNUTYPE_SPARSE)
    assert "is packed in a way that is not read here" in refusal(path)


# --- sizes ---


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "HARMLESS_BYTES", 100_000)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("files", [{"zeros": 2_000_000}, {str(n): 100_000 for n in range(20)}])
def test_bombs(name: str, files: dict[str, int], tmp_path: Path) -> None:
    line = refusal(MAKERS[name](tmp_path / name, {place: bytes(size) for place, size in files.items()}))
    assert line.startswith("has 0.0 MB and would unpack to ")
    assert line.endswith("; if you trust it, unpack it yourself and name the folder with `path:`")


@pytest.mark.usefixtures("small_limits")
def test_growth_within_reason(tmp_path: Path) -> None:
    files = {"noise": os.urandom(20_000), "zeros": bytes(800_000)}  # 40 times its size
    assert unpacked(make_zip(tmp_path / "a.zip", files)) == files


def test_bomb_of_overlapping_files(tmp_path: Path) -> None:
    """Every line of the index leads to the same packed bytes."""
    path = make_zip(tmp_path / "a.zip", {str(n): bytes(60_000_000) if n == 0 else b"" for n in range(2)})
    data = path.read_bytes()
    first, second = data.index(CENTRAL), data.rindex(CENTRAL)
    line = data[first:second]  # as long as the other: names of one digit
    path.write_bytes(data[:second] + line.replace(b"0", b"1") + data[second + len(line) :])
    assert "would unpack to 120.0 MB or more" in refusal(path)


def test_a_declared_size_beyond_all_bounds(tmp_path: Path) -> None:
    path = patched(make_zip(tmp_path / "a.zip", SCENE), CENTRAL, CENTRAL_SIZE, "<L", 0xFFFFFFF0)
    assert "would unpack to 4295.0 MB or more, where the limit is 100.0 MB" in refusal(path)
    huge = tarfile.TarInfo("a")
    huge.size = 1 << 60
    (tmp_path / "a.tar").write_bytes(huge.tobuf(tarfile.GNU_FORMAT))
    assert "would unpack to 1152921504606.8 MB or more" in refusal(tmp_path / "a.tar")


@pytest.mark.parametrize("declared", [10, 149_999, 150_001])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_lying_sizes(declared: int, method: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_zip(tmp_path / "a.zip", {"1.png": SCENE["images/1.png"], "b": b""}, method=method)
    patched(patched(path, LOCAL, LOCAL_SIZE, "<L", declared), CENTRAL, CENTRAL_SIZE, "<L", declared)
    assert "damaged or cut short" in refusal(path, early=False)


def test_no_more_is_written_than_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reader below gives."""
    path = make_zip(tmp_path / "a.zip", {"a": b"12345", "b": b""})
    monkeypatch.setattr(readers.ZipReader, "open", lambda self, member: io.BytesIO(b"123456"))
    assert "'a' is not as long as declared" in refusal(path, early=False)
    monkeypatch.setattr(readers.ZipReader, "open", lambda self, member: io.BytesIO(b"1234"))
    assert "'a' is not as long as declared" in refusal(path, early=False)


@every_kind
def test_too_many_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 3)
    assert "holds more than 3 files and folders; unpack it yourself" in refusal(MAKERS[name](tmp_path / name, SCENE))


def test_an_index_too_large_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PIECE_BYTES", 10_000)
    path = make_zip(tmp_path / "a.zip", {f"{n:0100}": b"" for n in range(100)})
    assert "its index has a part of 0.0 MB" in refusal(path)


def test_a_tar_header_too_large_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tgz(tmp_path / "a.tar.gz", {"a": b""}, pax_headers={"comment": "x" * 20_000_000})
    assert path.stat().st_size < 100_000
    assert "its index has a part of 20.0 MB" in refusal(path)


def test_endless_zeros_behind_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PIECE_BYTES", 100_000)
    path = make_tgz(tmp_path / "a.tar.gz", {"a": b""})
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(1_000_000)))
    assert "more than 0.1 MB behind its end mark" in refusal(path)


def test_no_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_zip(tmp_path / "a.zip", SCENE)
    usage = shutil.disk_usage(".")._replace(free=checksum.SPARE_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(NerfpipeError, match="free some space and run the same command again"):
        unpacked(path)
    assert contents(tmp_path / "raw") == {}


def test_a_disk_that_fills_up_meanwhile_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(readers.ZipReader, "open", lambda self, member: Full())
    with pytest.raises(OSError, match="No space") as caught:
        unpacked(make_zip(tmp_path / "a.zip", SCENE))
    assert describe_os_error(caught.value).startswith(f"{tmp_path / 'raw' / 'transforms.json'}: no room left")


# --- damage ---


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
@pytest.mark.parametrize("data", [b"", b"<html>Please log in</html>", b"PK\x03\x04 and no more", b"\x1f\x8b no more"])
def test_what_is_no_archive_but_called_one(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    line = refusal(tmp_path / name)
    assert line.startswith("damaged or cut short (")
    assert line.endswith("); delete it and get it again")


@every_kind
def test_archives_without_files(name: str, tmp_path: Path) -> None:
    assert refusal(MAKERS[name](tmp_path / name, {})).startswith("holds no files; ")
    assert refusal(MAKERS[name](tmp_path / name, {".DS_Store": b"x"})).startswith("holds no files; ")


NOISE = {"a.png": np.random.default_rng(0).bytes(3000), "images/b.png": np.random.default_rng(1).bytes(3000), "c": b""}


@every_kind
def test_cut_short_anywhere(name: str, tmp_path: Path) -> None:
    whole = MAKERS[name](tmp_path / name, NOISE).read_bytes()
    needed = whole.rstrip(b"\0") if name == "a.tar" else whole  # a tar ends in zeros, of which one block is enough
    for size in [*range(1, len(needed), 217), len(needed) - 1]:
        (tmp_path / name).write_bytes(whole[:size])
        assert refusal(tmp_path / name, early=False).startswith("damaged or cut short (")


@settings(max_examples=200)
@given(data=st.data())
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_any_damage_is_one_line_or_without_harm(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both kinds carry checksums: what comes out in spite of a changed byte is what went in."""
    folder = tmp_path_factory.mktemp("damage")
    path = MAKERS[name](folder / name, NOISE)
    damaged = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    result = outcome(path)
    if isinstance(result, str):
        assert len(result.splitlines()) == 1
    else:
        assert set(result.values()) <= set(NOISE.values())
    assert {each.name for each in folder.iterdir()} == {name, "raw"}


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", NOISE)
    path.write_bytes(path.read_bytes().replace(b"images/b.png", b"images/X.png"))
    assert "no end mark behind its last file" in refusal(path)


def test_a_zip_that_leads_before_its_own_start(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a": b"1", "b": b"2"})
    patched(path, CENTRAL, CENTRAL_OFFSET, "<L", 0x7FFFFFFF)
    assert "damaged or cut short" in refusal(path, early=False)


# --- any names at all ---

TRICKY = ["..", ".", "", "a", "A", "a.", "C:", "c:x", "\\", "..\\x", "...", " ", "~", "é", "e\u0301", "\0"]
names = st.lists(
    st.sampled_from(TRICKY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=5
).map("/".join)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=st.lists(names, min_size=1, max_size=4), inside=st.none() | st.sampled_from(["a", ".", "A/a"]))
@every_kind
def test_nothing_is_ever_written_outside(
    name: str, chosen: list[str], inside: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outer = tmp_path_factory.mktemp("names")
    deep = outer / "1" / "2" / "3" / "4" / "5" / "6"  # more folders than a name here has parts
    deep.mkdir(parents=True)
    path = MAKERS[name](deep / name, {each: str(n).encode() for n, each in enumerate(chosen)})
    result = outcome(path, inside)
    if isinstance(result, str):
        assert len(result.splitlines()) == 1
        assert contents(deep / "raw") == {}
    else:
        assert result
        assert all(int(data) < len(chosen) for data in result.values())
    assert {each for each in contents(outer) if "raw/" not in each} == {path.relative_to(outer).as_posix()}

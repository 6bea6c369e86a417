"""Where a file is expected, a named pipe is one line and not a wait without end; nothing but a file is replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nerfpipe.runtime.checkpoint import Checkpoint
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file, atomic_folder

ROOT = Path(__file__).parents[1]
PATIENCE = 60  # seconds: an import of torch on a busy machine

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")

READERS = {
    "a model": "from nerfpipe.models.model_file import load_model; load_model(place)",
    "a ray bank": "from nerfpipe.raybank.bank import RayBank; RayBank(place.parent)",
    "a bank's fingerprint": "from nerfpipe.runtime.checkpoint import fingerprint; fingerprint({}, place.parent, {})",
    "settings": "from nerfpipe.config.yaml_file import read_yaml; read_yaml(place)",
    "key frames": "from nerfpipe.camera_paths.key_frames import read_key_frames as read; read(place, None, None)",
    "a picture": "from nerfpipe.photos.images import read_picture; read_picture(place)",
    "a video": "from nerfpipe.photos.command import Options, prepare; prepare(place, Options('x'), place.parent)",
    "a description": "from nerfpipe.scenes.formats.procedural import load; load(place.parent, 'x', 'white')",
    "a run's metrics": "from nerfpipe.report.sources import open_source; open_source('workspace')(place)",
    "a checksum": "from nerfpipe.archives.checksum import checksum_of; checksum_of(place, 'sha256')",
}
NAMES = {"a ray bank": "bank.json", "a description": "scene.json", "key frames": "k.json", "settings": "s.yaml"}


@pytest.mark.parametrize("what", READERS)
def test_no_reader_waits_for_a_pipe(what: str, tmp_path: Path) -> None:
    place = tmp_path / NAMES.get(what, "named")
    os.mkfifo(place)
    code = (
        "import sys; from pathlib import Path; from nerfpipe.runtime.errors import one_line_errors\n"
        f"place = Path(sys.argv[1])\nwith one_line_errors():\n    {READERS[what]}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, place], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert f"{place}: is a named pipe, where a file is expected; correct the name" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_in_a_checkpoints_place_means_a_fresh_start(tmp_path: Path, capsys) -> None:
    held = Checkpoint(tmp_path / "run", tmp_path)
    held.file.parent.mkdir()
    os.mkfifo(held.file)
    assert held.load() is None
    assert capsys.readouterr().err == f"{held.file}: damaged, starting from the first step\n"


def make_folder(place: Path) -> None:
    place.mkdir()


def make_link_to_device(place: Path) -> None:
    place.symlink_to(os.devnull)


@pytest.mark.parametrize("make", [os.mkfifo, make_folder, make_link_to_device])
def test_nothing_but_a_file_is_replaced_by_one(make: Callable[[Path], None], tmp_path: Path) -> None:
    place = tmp_path / "out"
    make(place)
    before = place.lstat().st_mode
    with pytest.raises(NerfpipeError, match="where a file is expected"), atomic_file(place) as temporary:
        temporary.write_text("x")
    assert place.lstat().st_mode == before
    assert list(tmp_path.iterdir()) == [place]


def test_a_pipe_is_not_replaced_by_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "out"
    os.mkfifo(place)
    with pytest.raises(NerfpipeError, match="is there already and no folder"), atomic_folder(place):
        pass
    assert stat.S_ISFIFO(place.stat().st_mode)

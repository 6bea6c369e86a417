"""Compiled kernels on the disk: made whole by a process of their own, wherever something can be written."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from nerfpipe.kernels.numba import (
    composite,
    dense,
    hash_encoding,
    kept,
    march,
    ngp_field,
    render,
    row_adam,
    spherical_harmonics,
    threading_layer,
)
from nerfpipe.runtime.errors import NerfpipeError

MODULES = (composite, dense, ngp_field, spherical_harmonics, hash_encoding, march, render, row_adam)
KERNELS = {
    f"{module.__name__}.{name}": kernel
    for module in MODULES
    for name, kernel in vars(module).items()
    if hasattr(kernel, "targetoptions")
}


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_every_kernel_says_how_it_rounds(name: str) -> None:
    """One that does not is compiled like the kernel that calls it first, and its code depends on which that is."""
    assert "fastmath" in KERNELS[name].targetoptions


def test_all_numbers_that_are_compiled_in_are_part_of_the_name() -> None:
    """A kernel bakes in the numbers of modules that it imports: a change of one must compile it again."""
    imported = {
        node.module
        for module in MODULES
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("nerfpipe.")
    }
    outside = {name for name in imported if name != "nerfpipe.ops" and not name.startswith("nerfpipe.kernels.numba")}
    assert outside <= {f"nerfpipe.ops.{file.removesuffix('.py')}" for file in kept.SHARED}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two places to keep code in, neither of which is there yet; compiling takes no time and leaves one file."""
    package, cache = tmp_path / "package", tmp_path / "cache"
    monkeypatch.delenv(kept.INTO, raising=False)
    monkeypatch.setattr(kept, "folders", lambda: iter([package, cache]))
    monkeypatch.setattr(kept, "COMPILE", f"import os; open(os.environ['{kept.INTO}'] + '/code', 'w').close()")
    return package, cache


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_kernels_are_compiled_once_and_then_found(
    places: tuple[Path, Path], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(kept.kept_code())
    assert (folder.parent, names(folder)) == (places[0], ["code"])
    assert capfd.readouterr().out.count("compiling the CPU kernels") == 1
    monkeypatch.setattr(kept, "COMPILE", "raise SystemExit(1)")
    assert kept.kept_code() == str(folder)
    assert capfd.readouterr().out == ""


def test_code_of_other_source_goes_and_that_of_other_machines_stays(places: tuple[Path, Path]) -> None:
    machine = kept.folder_name().rpartition("-")[2]
    for name in (f"kernels-0-{machine}", "kernels-0-other"):
        (places[0] / name).mkdir(parents=True)
    kept.kept_code()
    assert [name for name in names(places[0]) if not name.endswith(".lock")] == ["kernels-0-other", kept.folder_name()]


def test_a_compilation_that_fails_leaves_nothing_that_looks_complete(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        kept, "COMPILE", f"import os; open(os.environ['{kept.INTO}'] + '/half', 'w').close(); raise SystemExit(3)"
    )
    with pytest.raises(NerfpipeError, match="could not be compiled"):
        kept.kept_code()
    assert not (places[0] / kept.folder_name()).exists()


def refuse_below(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """As on a disk that is read-only: permissions stop nobody who is root."""
    real = kept.tempfile.TemporaryFile

    def refuse(dir: Path) -> object:
        if any(Path(dir).is_relative_to(folder) for folder in folders):
            raise OSError(30, "Read-only file system", str(dir))
        return real(dir=dir)

    monkeypatch.setattr(kept.tempfile, "TemporaryFile", refuse)


def test_the_users_cache_serves_where_the_package_is_read_only(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_below(monkeypatch, places[0])
    assert Path(kept.kept_code()).parent == places[1]


def test_code_in_a_read_only_package_is_used_through_a_copy(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.kept_code()
    refuse_below(monkeypatch, *places)
    monkeypatch.setattr(kept, "COMPILE", "raise SystemExit(1)")
    folder = Path(kept.kept_code())
    assert not any(folder.is_relative_to(place) for place in places)
    assert names(folder) == ["code"]


def test_where_nothing_is_kept_a_temporary_folder_serves_and_goes_with_the_process(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from nerfpipe.kernels.numba import kept; kept.folders = lambda: iter(());"
        f"kept.COMPILE = '''import os; open(os.environ['{kept.INTO}'] + '/code', 'w').close()''';"
        "folder = kept.kept_code(); assert (Path(folder) / 'code').is_file(); print(folder)"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    said, _, folder = done.stdout.splitlines()
    assert "set XDG_CACHE_HOME" in said
    assert Path(folder).is_relative_to(tmp_path)
    assert names(tmp_path) == []


def test_a_machine_without_any_folder_to_write_to_is_told_in_one_line(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> str:
        raise OSError(30, "Read-only file system")

    refuse_below(monkeypatch, *places)
    monkeypatch.setattr(kept.tempfile, "mkdtemp", refuse)
    with pytest.raises(NerfpipeError, match="set XDG_CACHE_HOME or TMPDIR"):
        kept.kept_code()


def test_without_a_home_the_package_alone_is_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kept.Path, "home", nobody)
    assert list(kept.folders()) == [kept.HERE / "__pycache__"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="profiles are private on this system")
def test_a_cache_that_others_can_write_to_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba unpickles what it finds."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = tmp_path / "nerfpipe"
    assert list(kept.folders())[1:] == [cache]  # not there yet
    cache.mkdir(mode=0o700)
    assert list(kept.folders())[1:] == [cache]
    cache.chmod(0o777)
    assert list(kept.folders())[1:] == []
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere/relative")
    assert list(kept.folders())[1:] == []


def test_two_processes_at_once_compile_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nerfpipe.kernels.numba import kept;"
        "kept.folders = lambda: iter([Path(sys.argv[1])]);"
        f"kept.COMPILE = '''import os, time; time.sleep(1); open(os.environ['{kept.INTO}'] + '/code', 'w').close()''';"
        "kept.kept_code()"
    )
    env = {name: value for name, value in os.environ.items() if name != kept.INTO}
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert "".join(said).count("compiling the CPU kernels") == 1


def test_settings_of_numba_that_change_code_are_kept_apart_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = kept.folder_name()
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert kept.folder_name() == before
    monkeypatch.setenv("NUMBA_OPT", "0")
    assert kept.folder_name() != before


def test_threads_are_made_by_the_library_that_we_choose_whatever_there_is() -> None:
    assert threading_layer.layer() in (threading_layer.OPENMP, threading_layer.QUEUE)
    code = (
        "from nerfpipe.ops import dispatch; dispatch.threads();"
        "from nerfpipe.kernels.numba import threading_layer; print(threading_layer.layer())"
    )
    for asked in ("tbb", "default"):
        env = {**os.environ, "NUMBA_THREADING_LAYER": asked, "NUMBA_THREADING_LAYER_PRIORITY": "tbb workqueue omp"}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == threading_layer.layer()


def test_where_threads_serve_one_caller_at_a_time_others_wait() -> None:
    """Numba's own queue ends the process when two threads call at once."""
    code = (
        "import threading, numpy as np, numba;"
        "from nerfpipe.kernels.numba import threading_layer as layer;"
        "from nerfpipe.kernels.numba.row_adam import step_rows;"
        "numba.config.THREADING_LAYER_PRIORITY = ['workqueue', 'omp', 'tbb']; assert layer.layer() == 'workqueue';"
        "one = np.float32(1);"
        "make = lambda: [np.ones((20000, 4), np.float32) for _ in range(4)];"
        "work = lambda: [layer.launch(step_rows, *make(), one, one, one, one, one) for _ in range(50)];"
        "both = [threading.Thread(target=work) for _ in range(4)]; [t.start() for t in both]; [t.join() for t in both]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_choice_reaches_numba_before_its_threads_start() -> None:
    assert numba.config.THREADING_LAYER_PRIORITY == [threading_layer.OPENMP, threading_layer.QUEUE, "tbb"]

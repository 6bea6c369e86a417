"""Data that travels: a remote in a folder, one in S3, and a cache that several clones share."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import imageio.v3 as iio
import pytest
from sharing import MODEL, NOTHING_TO_DO, Published, colleague, last_line, use_remote
from tiny_pipeline import OUTS, dvc, edit, hashes, run

BUCKET, REGION = "bucket", "us-east-1"


def cached_files(cache: Path) -> dict[str, str]:
    """SHA-256 of every file in a cache or a remote."""
    files = [file for file in (cache / "files/md5").rglob("*") if file.is_file()]
    return {str(file.relative_to(cache)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def assert_a_pull_brings_all(project: Published, clone: Path) -> None:
    """After `dvc pull` the clone holds the author's bytes, nothing is left to run, and git sees no change."""
    assert not any((clone / out).exists() for out in OUTS)
    dvc(clone, "pull")
    assert last_line(dvc(clone, "repro").stdout) == NOTHING_TO_DO
    assert hashes(clone) == hashes(project.author)
    assert run(clone, "git", "status", "--porcelain").stdout == ""


# --- A remote in a folder ---


def test_a_fresh_clone_pulls_from_a_folder_and_has_nothing_to_run(published: Published, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    assert_a_pull_brings_all(published, clone)
    assert last_line(dvc(published.author, "push").stdout) == "Everything is up to date."


def test_a_pull_without_a_remote_fails_and_says_so(published: Published, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone")
    result = dvc(clone, "pull", check=False)
    assert result.returncode != 0
    assert "No remote provided and no default remote set" in result.stdout + result.stderr
    assert not any((clone / out).exists() for out in OUTS)


def test_repro_can_fetch_by_itself_what_a_changed_stage_needs(published: Published, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone", str(published.remote))
    edit(clone / "params.yaml", {"render.frames": 4})
    ran = dvc(clone, "repro", "--pull", "--allow-missing").stdout
    assert [line for line in ran.splitlines() if line.startswith("Running stage")] == [
        "Running stage 'check':",
        "Running stage 'render':",
    ]
    assert (clone / MODEL).read_bytes() == (published.author / MODEL).read_bytes()
    assert iio.imread(clone / "data/renders/orbit.gif").shape[:3] == (4, 16, 16)
    assert not (clone / "data/rays").exists(), "rendering needs the model alone"


# --- A remote in S3 ---


def needed(module: str, reason: str) -> ModuleType:
    """A module without which a test is skipped - but not on a CI machine, where that would go unseen."""
    return importlib.import_module(module) if os.environ.get("CI") else pytest.importorskip(module, reason=reason)


def test_what_is_not_installed_is_skipped_here_and_an_error_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs it"):
        needed("nerfpipe.no_such_module", "needs it")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ModuleNotFoundError):
        needed("nerfpipe.no_such_module", "needs it")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server on this machine, with an empty bucket, and credentials for it in the environment."""
    server = needed("moto.server", "needs moto[s3] and flask-cors")
    boto3 = needed("boto3", "needs boto3, which comes with moto[s3]")
    needed("dvc_s3", "needs dvc-s3")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        address = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=BUCKET)
        yield address
    finally:
        moto.stop()


def use_s3(clone: Path, address: str) -> None:
    use_remote(clone, f"s3://{BUCKET}/nerf")
    dvc(clone, "remote", "modify", "--local", "storage", "endpointurl", address)


def test_a_fresh_clone_pulls_from_s3_and_has_nothing_to_run_and_experiments_travel_through_it(
    published: Published, tmp_path: Path, s3: str
) -> None:
    author = colleague(published, tmp_path / "author")
    shutil.copytree(published.author / ".dvc/cache", author / ".dvc/cache")
    use_s3(author, s3)
    dvc(author, "push")
    clone = colleague(published, tmp_path / "clone")
    use_s3(clone, s3)
    assert_a_pull_brings_all(published, clone)
    before = stored(s3)
    assert before == set(cached_files(clone / ".dvc/cache")), "all that was pulled came from the bucket"
    assert_an_experiment_travels(author, clone)
    assert stored(s3) > before, "its files went through the bucket, too"


def stored(address: str) -> set[str]:
    """The files in the bucket, by the names that they have in a cache."""
    import boto3

    listing = boto3.client("s3", endpoint_url=address).list_objects_v2(Bucket=BUCKET)
    return {each["Key"].removeprefix("nerf/") for each in listing["Contents"]}


def assert_an_experiment_travels(author: Path, clone: Path) -> None:
    """What the author runs and pushes, the clone pulls and applies: settings, metrics and data."""
    dvc(author, "checkout")
    dvc(author, "exp", "run", "-n", "slower", "-S", "render.frames=4")
    pushed = dvc(author, "exp", "push", "origin", "slower").stdout
    assert "Pushed experiment slower to Git remote 'origin'." in pushed
    assert "uploaded" in pushed
    dvc(clone, "exp", "pull", "origin", "slower")
    dvc(clone, "exp", "apply", "slower")
    assert iio.imread(clone / "data/renders/orbit.gif").shape[:3] == (4, 16, 16)
    assert hashes(clone) == hashes(author)
    assert last_line(dvc(clone, "repro").stdout) == NOTHING_TO_DO


def test_s3_without_its_package_names_the_package(published: Published, tmp_path: Path) -> None:
    clone = colleague(published, tmp_path / "clone", f"s3://{BUCKET}/nerf")
    without = "import sys; sys.modules['dvc_s3'] = None; from dvc.cli import main; sys.exit(main(['pull']))"
    result = run(clone, sys.executable, "-c", without, check=False)
    assert result.returncode != 0
    assert "s3 is supported, but requires 'dvc-s3' to be installed" in result.stderr


# --- A cache that clones on one machine share ---


def share_cache(clone: Path, cache: Path) -> Path:
    dvc(clone, "cache", "dir", "--local", str(cache))
    dvc(clone, "config", "--local", "cache.shared", "group")
    dvc(clone, "config", "--local", "cache.type", "hardlink,symlink")
    return clone


def out_files(clone: Path) -> list[Path]:
    return [file for out in OUTS for file in (clone / out).rglob("*") if file.is_file()]


def bound_by_permissions() -> tuple[str, ...]:
    """What to put before a command so that even root cannot write where the permissions forbid it."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv, which would forbid it, is not here")
    return ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override")


@pytest.fixture(scope="module")
def cache(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared cache, filled by a first clone beside it."""
    folder = tmp_path_factory.mktemp("machine")
    first = share_cache(colleague(published, folder / "first", str(published.remote)), folder / "cache")
    dvc(first, "pull")
    return folder / "cache"


def test_a_second_clone_takes_all_from_the_shared_cache_as_read_only_links(
    published: Published, cache: Path, tmp_path: Path
) -> None:
    clone = share_cache(colleague(published, tmp_path / "clone"), cache)
    dvc(clone, "checkout")
    assert hashes(clone) == hashes(published.author)
    inodes = {file.stat().st_ino for file in (cache / "files/md5").rglob("*")}
    files = out_files(clone)
    assert files
    assert all(file.stat().st_ino in inodes for file in files)
    assert {file.stat().st_mode & 0o222 for file in files} == {0}
    assert last_line(dvc(clone, "repro").stdout) == NOTHING_TO_DO


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_a_read_only_out_cannot_be_written(published: Published, cache: Path, tmp_path: Path) -> None:
    clone = share_cache(colleague(published, tmp_path / "clone"), cache)
    dvc(clone, "checkout")
    write = f"open({MODEL!r}, 'r+b')"
    refused = run(clone, *bound_by_permissions(), sys.executable, "-c", write, check=False)
    assert "PermissionError" in refused.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_every_stage_runs_on_read_only_outs_and_leaves_the_cache_as_it_was(
    published: Published, cache: Path, tmp_path: Path
) -> None:
    clone = share_cache(colleague(published, tmp_path / "clone"), cache)
    dvc(clone, "checkout")
    before = cached_files(cache)
    command = (sys.executable, "-m", "dvc", "repro", "--force", "--downstream", "rays")
    ran = run(clone, *bound_by_permissions(), *command).stdout
    assert all(f"Running stage '{stage}'" in ran for stage in ("rays", "train", "evaluate", "render"))
    assert hashes(clone) == hashes(published.author)
    after = cached_files(cache)
    assert {name: after[name] for name in before} == before
    assert {file.stat().st_mode & 0o222 for file in out_files(clone)} == {0}, "new outs are links as well"

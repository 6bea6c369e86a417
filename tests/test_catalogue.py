"""The catalogue: what an entry may say, and how its faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nerfpipe.project.catalogue import catalogue_faults, load_entry
from nerfpipe.runtime.errors import NerfpipeError

PROJECT_CATALOGUE = Path(__file__).parents[1] / "data" / "scenes.yaml"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    return tmp_path / "scenes.yaml"


def faults_of(catalogue: Path, name: str) -> list[str]:
    with pytest.raises(NerfpipeError) as caught:
        load_entry(name, catalogue)
    return str(caught.value).splitlines()


def test_the_projects_own_catalogue_is_without_fault() -> None:
    entries, faults = catalogue_faults(PROJECT_CATALOGUE)
    assert faults == []
    assert {"robot-arm", "tiny-nerf-lego"} <= set(entries)


def test_one_url_is_a_list_of_one(catalogue: Path) -> None:
    catalogue.write_text("desk: {format: tiny_nerf, url: http://host/desk.npz}")
    assert load_entry("desk", catalogue).url == ["http://host/desk.npz"]


def test_unknown_scene_names_the_known_ones(catalogue: Path) -> None:
    catalogue.write_text("robot-arm: {format: procedural}\ndesk: {format: tiny_nerf, path: desk.npz}")
    [line] = faults_of(catalogue, "robot_arm")
    assert line.startswith(f"{catalogue}: no scene 'robot_arm'")
    assert "did you mean robot-arm?" in line
    assert "known scenes: robot-arm, desk" in line


def test_every_fault_of_an_entry_at_once(catalogue: Path) -> None:
    catalogue.write_text(
        """
desk:
  format: tiny_nerf
  pth: desk.npz
  bytes: -1
  checksum: md5:00
  background: green
  bounds: [[0, 0, 0]]
  views: {train: none}
"""
    )
    lines = faults_of(catalogue, "desk")
    assert all(line.startswith(f"{catalogue}: desk.") for line in lines)
    for key in ("bytes", "checksum", "background", "bounds", "views.train"):
        assert sum(f"desk.{key}: " in line for line in lines) == 1, key
    assert any("desk.pth: unknown key; did you mean path?" in line for line in lines)
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{format: tiny_nerf}", "exactly one of path and url"),
        ("{format: tiny_nerf, path: a.npz, url: http://host/a.npz}", "exactly one of path and url"),
        ("{format: procedural, path: a}", "takes no path"),
        ("{format: tiny_nerf, url: []}", "url"),
        ("{format: kitti, path: a}", "format: must be 'procedural', 'tiny_nerf', 'blender'"),
        ("{}", "exactly one of path and url"),
        ("{path: a, size: 20}", "size"),
        ("{path: a, folder: ../b}", "folder: must be a folder within the data"),
        ("{path: a, images: /b}", "images: must be a folder within the data"),
        ("{path: a, factor: 0}", "factor: must be greater than or equal to 1"),
        ("{path: a, missing: maybe}", "missing: must be 'error' or 'skip'"),
        ("{path: a, test_every: 1}", "test_every"),
        ("{path: ~nosuchuser/a}", "path: is no path on this machine"),
        ("{path: a, space: forward, bounds: [[0, 0, 0], [1, 1, 1]]}", "bounds mean nothing to the space forward"),
        ("{format: procedural, space: unbounded}", "space means nothing to the format procedural"),
        ("{format: blender, path: a, train_views: 3}", "train_views means nothing to the format blender"),
        ("{format: tiny_nerf, path: a, checksum: 'sha256:abc'}", "checksum"),
        ("a.npz", "desk"),
    ],
)
def test_faulty_entries(catalogue: Path, entry: str, words: str) -> None:
    catalogue.write_text(f"desk: {entry}")
    [line] = faults_of(catalogue, "desk")
    assert words in line


def test_the_format_may_be_left_to_the_data(catalogue: Path) -> None:
    catalogue.write_text("desk: {path: data/captures/desk}\ncup: {format: colmap, path: cup.zip, space: unbounded}")
    assert load_entry("desk", catalogue).format is None
    assert load_entry("cup", catalogue).space == "unbounded"


def test_faults_of_other_scenes_do_not_stand_in_the_way(catalogue: Path) -> None:
    catalogue.write_text("good: {format: procedural}\nbad: {format: procedural, size: 0}")
    assert load_entry("good", catalogue).size == 100
    entries, faults = catalogue_faults(catalogue)
    assert list(entries) == ["good"]
    assert len(faults) == 1
    assert faults[0].startswith("bad.size: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: {format: procedural}\na: {format: procedural}", "given twice"), ("- a", "key: value"), ("a: {", "YAML")],
)
def test_not_a_catalogue(catalogue: Path, text: str, words: str) -> None:
    catalogue.write_text(text)
    [line] = faults_of(catalogue, "a")
    assert line.startswith(f"{catalogue}:")
    assert words in line


def test_missing_catalogue(catalogue: Path) -> None:
    assert "not found" in faults_of(catalogue, "a")[0]


@pytest.mark.parametrize("name", ["12", "0o14", "true", "null", "1e3", ".nan", "2024-01-01", "? [a]\n"])
def test_a_name_that_yaml_takes_for_no_text_is_told(catalogue: Path, name: str) -> None:
    """DVC looks for the text that `scene` says, and would not find it."""
    catalogue.write_text(f"{name}: {{format: procedural}}\n")
    entries, faults = catalogue_faults(catalogue)
    assert entries == {}
    assert any("a scene's name must be text; write it in quotes" in fault for fault in faults)


def test_a_number_in_quotes_is_a_name(catalogue: Path) -> None:
    catalogue.write_text('"12": {format: procedural}\n')
    assert set(catalogue_faults(catalogue)[0]) == {"12"}

"""`nerfpipe report`: the page of made-up runs, whose every number is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.report import runs as runs_module
from nerfpipe.report.charts import Curve, line_chart
from nerfpipe.report.images import choose_views
from nerfpipe.report.page import page
from nerfpipe.report.runs import Run, differing, read_run

VOID = {"meta", "img", "wbr"}
SOURCES = {"src", "href", "xlink:href", "srcset", "poster", "data"}
PSNR = {7: 30.0, 8: 20.0, 9: 25.0, 10: 35.0}  # of the test views of a made-up run


class Reader(HTMLParser):
    """Gathers a page's references, tags and text, and asserts that it is well-formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.refers: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.refers += [value or "" for name, value in attrs if name in SOURCES]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def write_run(folder: Path, **changes: Any) -> Path:
    """The files of a run; `changes` replace its default values."""
    values = {"lr": 0.01, "scene": "arm", "method": "tiny", "psnr": 27.5, "seconds": 12.5, "frames": 60} | changes
    (folder / "metrics").mkdir(parents=True)
    metrics = {
        "train": {"scene": values["scene"], "method": values["method"], "psnr": 26.0, "steps": 1300, "weights": 66308},
        "speed": {
            "seconds": values["seconds"],
            "rays_per_second": 49415,
            "device": "cpu",
            "processor": "A <Processor>",
            "threads": 2,
            "versions": {"torch": "2.13.0"},
        },
        "test": {"psnr": values["psnr"], "ssim": 0.9012, "depth_error": 0.0157, "views": 4, "background": "white"},
    }
    for name, content in metrics.items():
        (folder / f"metrics/{name}.json").write_text(json.dumps({name: content}))
    (folder / "metrics/history.csv").write_text("step,loss,train_psnr,val_psnr\n100,0.1,20,21\n200,0.01,25,26\n")
    (folder / "metrics/speed.csv").write_text("step,seconds,rays_per_second\n100,5.5,10\n200,12.5,10\n")
    (folder / "metrics/views.csv").write_text("view,psnr\n" + "".join(f"{v},{psnr}\n" for v, psnr in PSNR.items()))
    recipe = {"method": values["method"], values["method"]: {"train": {"lr": values["lr"], "loss": "mse"}}}
    params = {"train": {"params.yaml": recipe}, "render": {"params.yaml": {"render": {"frames": values["frames"]}}}}
    lock = {"schema": "2.0", "stages": {name: {"cmd": "x", "params": files} for name, files in params.items()}}
    (folder / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
    picture = np.zeros((4, 19, 3), dtype=np.uint8)
    for file in (*(f"data/views/test_{view:03d}.png" for view in PSNR), "data/renders/orbit.gif"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / file, picture)
    iio.imwrite(folder / "data/renders/orbit_depth.gif", picture)
    return folder


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Writes a run and reads it by its name, like a revision."""
    folders: dict[str, Path] = {}
    monkeypatch.setattr(runs_module, "open_source", lambda name: lambda path: (folders[name] / path).read_bytes())

    def make(name: str, **changes: Any) -> Run:
        folders[name] = write_run(tmp_path / f"run-{len(folders)}", **changes)
        return read_run(name)

    return make


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in the current folder, outside of git and DVC."""
    folder = write_run(tmp_path / "here")
    monkeypatch.chdir(folder)
    return folder


def report(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["report", *arguments])
    return result.exit_code, result.output


def cells(html: str, run: str) -> dict[str, str]:
    """A run's row of the table of results, by the column's name."""
    table = html[html.index("<table>") : html.index("</table>")].replace("<wbr>", "")
    head, *rows = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?>.*?</tr>", table)]
    by_name = {re.sub(r"<svg.*?</svg> ?", "", row[0]): row for row in rows}
    return dict(zip(head, by_name[run], strict=True))


def test_the_page_needs_nothing_but_itself(make_run: Callable[..., Run]) -> None:
    html = page([make_run("a"), make_run("b", lr=0.02)])
    found = Reader(html)
    assert found.refers
    assert all(reference.startswith(("data:image/", "#")) for reference in found.refers)
    assert not {"script", "link", "iframe", "object"} & set(found.tags)
    assert "@import" not in html
    assert all(start == "#" for start in re.findall(r"url\((.)", html))
    assert not re.search(r"https?://(?!www\.w3\.org/)", html)


def test_the_table_has_the_numbers_of_every_run_and_the_best_is_bold(make_run: Callable[..., Run]) -> None:
    html = page([make_run("a"), make_run("b", lr=0.02, psnr=31.254, seconds=1234.5)])
    assert cells(html, "a") == {
        "run": cells(html, "a")["run"],
        "test PSNR, dB": "27.50",
        "SSIM": "0.9012",
        "depth error": "0.0157",
        "method": "tiny",
        "scene": "arm",
        "tiny.train.lr": "0.01",
        "steps": "1,300",
        "train seconds": "<b>12.5</b>",
        "rays/s": "49,415",
        "weights": "66,308",
        "device": "cpu",
    }
    b = cells(html, "b")
    assert (b["test PSNR, dB"], b["train seconds"], b["tiny.train.lr"]) == ("<b>31.25</b>", "1,234.5", "0.02")


def test_a_page_for_others_holds_no_password(here: Path) -> None:
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    entry = {"url": ["https://me:hunter2@example.org/a.zip?token=t0ken"], "bytes": 7}
    lock["stages"]["download"] = {"cmd": "x", "params": {"data/scenes.yaml": {"desk": entry}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    assert report("--output", "r.html")[0] == 0
    html = Path("r.html").read_text(encoding="utf-8").replace("<wbr>", "")
    assert "https://example.org/a.zip" in html
    assert "hunter2" not in html
    assert "t0ken" not in html


def test_a_page_of_a_scene_of_no_text_is_written(make_run: Callable[..., Run]) -> None:
    html = page([make_run("a", scene="a\ud800\x1b[31m\n<b>")])
    assert "a\\ud800\\x1b[31m\\n&lt;b&gt;" in html
    assert html.encode()


def test_params_differ_where_two_runs_have_them_and_disagree(make_run: Callable[..., Run]) -> None:
    a, b, c = make_run("a"), make_run("b", lr=0.02), make_run("c", method="ngp", frames=3)
    assert differing([a]) == []
    assert differing([a, b]) == ["tiny.train.lr"]
    assert differing([a, b, c]) == ["method", "tiny.train.lr", "render.frames"]
    assert cells(page([a, b, c]), "c")["tiny.train.lr"] == "–"
    assert differing([a, make_run("1", lr=True), make_run("2", lr=1)]) == ["tiny.train.lr"], "true is not 1"


def test_names_and_values_cannot_break_the_page(make_run: Callable[..., Run]) -> None:
    evil = '<script>alert("1")</script>&'
    html = page([make_run(evil, lr=evil, scene=evil), make_run("b", lr="'\"><img src=x>")])
    found = Reader(html)
    assert "script" not in found.tags
    assert "x" not in found.refers
    assert any(evil in words for words in found.words), "the name is shown unchanged"
    assert "A <Processor>" in found.words


def test_every_picture_is_shown_once_for_each_run_and_as_what_it_is(make_run: Callable[..., Run]) -> None:
    a, b = make_run("a"), make_run("b")
    alone, both = Reader(page([a])), Reader(page([a, b]))
    kinds = [uri.split(";")[0] for uri in alone.refers if uri.startswith("data:")]
    assert kinds == ["data:image/png"] * 3 + ["data:image/gif"] * 2
    assert sum(uri.startswith("data:") for uri in both.refers) == 2 * len(kinds)


def test_best_median_and_worst_views_are_shown(make_run: Callable[..., Run]) -> None:
    run = make_run("a")
    assert choose_views(run.views) == {"Best": 10, "Median": 9, "Worst": 8}
    assert choose_views(run.views.iloc[:2]) == {"Best": 7, "Worst": 8}
    assert choose_views(run.views.iloc[:1]) == {"Best": 7}
    html = page([run])
    assert [f"{word}: view {view}" in html for word, view in choose_views(run.views).items()] == [True] * 3
    assert "35.00 dB" in html


def test_runs_of_two_scenes_show_the_views_of_each(make_run: Callable[..., Run]) -> None:
    html = page([make_run("a"), make_run("b", scene="lego", psnr=40)])
    assert "Held-out views of arm" in html
    assert "Held-out views of lego" in html
    assert cells(html, "b")["test PSNR, dB"] == "40.00", "of another scene: no better, no worse"


def test_curves_are_drawn_against_step_and_seconds_where_seconds_are_known(here: Path) -> None:
    run = read_run("workspace")
    assert run.history["seconds"].tolist() == [5.5, 12.5]
    titles = ["Loss against step", "Val PSNR against step", "Loss against seconds", "Val PSNR against seconds"]
    html = page([run])
    assert [f'aria-label="{title}"' in html for title in (*titles, "PSNR of each test view")] == [True] * 5
    (here / "metrics/speed.csv").unlink()
    html = page([read_run("workspace")])
    assert [f'aria-label="{title}"' in html for title in titles] == [True, True, False, False]
    assert "No curves against seconds" in html


def test_a_curve_passes_through_its_points_and_is_the_same_each_time() -> None:
    draw = [line_chart("Loss", "step", "loss", [Curve(0, [0, 1, 2], [0.0, 4.0, 2.0])]) for _ in range(2)]
    assert draw[0] == draw[1]
    (path,) = [d for d, style in re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', draw[0]) if "1.6" in style]
    (_, y0), (_, y1), (_, y2) = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]
    assert (y0 - y1) == pytest.approx(2 * (y0 - y2), abs=1e-3), "y grows downwards in SVG: 4 is twice as high as 2"
    assert "currentColor" in draw[0], "the text has the page's colour, in light and dark"


def test_a_page_is_the_same_bytes_each_time(here: Path) -> None:
    assert report()[0] == 0
    first = Path("report.html").read_bytes()
    assert report("workspace", "--force")[0] == 0
    assert Path("report.html").read_bytes() == first


def test_a_page_that_is_there_is_not_replaced_unasked(here: Path) -> None:
    Path("report.html").write_text("precious")
    told = "error: report.html: is there already; name another file with --output, or say --force\n"
    assert report() == (1, told)
    assert Path("report.html").read_text() == "precious"
    assert report("--output", "data") == (1, "error: data: is a folder; name a file with --output\n")


def test_pictures_that_are_missing_cost_one_line_and_no_more(here: Path) -> None:
    for file in [*here.glob("data/views/*"), *here.glob("data/renders/*")]:
        file.unlink()
    code, printed = report()
    notice = "no pictures in data/renders and data/views; `dvc pull` or `dvc repro` brings them"
    assert (code, printed.splitlines()[0]) == (0, f"notice: workspace: {notice}")
    html = Path("report.html").read_text()
    assert html.count(notice) == 1
    assert cells(html, "workspace")["test PSNR, dB"] == "27.50"
    assert "Held-out views" not in html


def test_a_run_not_yet_evaluated_has_its_curves(here: Path) -> None:
    Path("metrics/test.json").unlink()
    Path("metrics/views.csv").unlink()
    code, printed = report()
    assert (code, "notice: workspace: not evaluated yet" in printed) == (0, True)
    assert cells(Path("report.html").read_text(), "workspace")["test PSNR, dB"] == "–"


def test_metrics_of_before_speed_had_its_own_files_are_read(here: Path) -> None:
    train = {"scene": "arm", "method": "ngp", "psnr": 1.5, "steps": 9, "seconds": 7.25, "device": "cuda"}
    Path("metrics/train.json").write_text(json.dumps({"train": train}))
    Path("metrics/speed.json").unlink()
    Path("metrics/speed.csv").unlink()
    Path("metrics/history.csv").write_text("step,seconds,loss,val_psnr\n9,7.25,0.5,1.5\n")
    run = read_run("workspace")
    assert (run.speed.seconds, run.speed.device, run.train.weights) == (7.25, "cuda", None)
    assert run.history["seconds"].tolist() == [7.25]


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("metrics/train.json", None, "metrics/train.json: not found in workspace; run `dvc repro` first"),
        ("metrics/history.csv", None, "metrics/history.csv: not found in workspace; run `dvc repro` first"),
        ("metrics/train.json", "{", "metrics/train.json: damaged in workspace (not JSON); run `dvc repro` again"),
        ("metrics/test.json", "[]", "metrics/test.json: damaged in workspace (no 'test' in it)"),
        ("metrics/test.json", '{"test": {"psnr": "high"}}', "metrics/test.json: damaged in workspace (psnr: must be"),
        ("metrics/speed.json", '{"speed": {"seconds": []}}', "metrics/speed.json: damaged in workspace (seconds: "),
        ("metrics/history.csv", "step,loss\n1,2\n", "metrics/history.csv: damaged in workspace (no column val_psnr)"),
        ("metrics/history.csv", "step,loss,val_psnr\n", "metrics/history.csv: damaged in workspace (no rows)"),
        ("metrics/history.csv", "step,loss,val_psnr\n1,x,2\n", "damaged in workspace (not a table of numbers)"),
        ("metrics/views.csv", "view,psnr\n1.5,2\n,3\n", "damaged in workspace (not a table of numbers)"),
        ("metrics/views.csv", b"\xff\xfe\x00", "damaged in workspace ("),
        ("metrics/train.json", b"\xff\xfe\x00", "damaged in workspace (not JSON)"),
        ("dvc.lock", "stages: 3", "dvc.lock: damaged in workspace (not what DVC writes)"),
        ("dvc.lock", "a: [", "dvc.lock: damaged in workspace (not what DVC writes)"),
    ],
)
def test_metrics_that_are_missing_or_damaged_are_told_in_one_line(
    here: Path, file: str, content: str | bytes | None, told: str
) -> None:
    (here / file).unlink()
    if content is not None:
        (here / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    code, printed = report()
    assert code == 1
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert told in printed
    assert not Path("report.html").exists()


def test_a_revision_that_nobody_knows_is_told_in_one_line(here: Path) -> None:
    code, printed = report("nobody")
    assert (code, printed.count("\n")) == (1, 1)
    assert "nobody: cannot be opened (" in printed

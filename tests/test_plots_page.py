"""Pages in a browser that has no network: DVC's plots page and `nerfpipe report`, of two experiments."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from browser import find_browser
from dvc_render.html import PAGE_HTML
from dvc_render.vega import VegaRenderer
from tiny_pipeline import ROOT, clone, dvc, run, shrink

OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=direct://")
PATIENCE_MS, PATIENCE_SECONDS = 10_000, 120
PROBE = "<script>onload = () => document.title = Array.from(document.images, i => i.naturalWidth).join(' ')</script>"
TEMPLATE = ROOT / ".dvc/plots/page.html"
WITHOUT_KNOWN_FAULTS = (6, 2, 0)  # the first vega after GHSA-7f2v-3qq3-vvjf, the last advisory known
TABLES, NAMED, VIEWS = 3, 5, 2  # plots of dvc.yaml: of the tables of stages, at its end; test views of the tiny scene


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with two experiments, a and b; the workspace is b."""
    folder = clone(tmp_path_factory.mktemp("project"))
    shrink(folder)
    run(folder, "git", "config", "user.name", "test")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "commit", "-qam", "small")
    dvc(folder, "exp", "run", "-n", "a", "-S", "tiny.train.lr=1e-3")
    dvc(folder, "exp", "run", "-n", "b", "-S", "tiny.train.lr=1e-2", "-S", "tiny.field.width=32")
    return folder


@pytest.fixture(scope="module")
def browser() -> str:
    return find_browser()


@pytest.fixture(scope="module")
def plots(project: Path) -> Path:
    """DVC's page over both experiments."""
    dvc(project, "plots", "diff", "a", "b")
    return project / "dvc_plots/index.html"


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    printed = run(project, sys.executable, "-m", "nerfpipe", "report", "a", "b").stdout
    assert printed.startswith("report.html: a, b; ")
    return project / "report.html"


def dom(browser: str, page: Path) -> str:
    """The page as the browser has it once its scripts have run, with no name of any host to be found."""
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={page.parent / 'browser'}",
        *OFFLINE,
    )
    command = [browser, *options, f"--virtual-time-budget={PATIENCE_MS}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=True).stdout


def probed(page: Path) -> Path:
    """A copy of the page whose title becomes the widths of its pictures, 0 for one that does not load."""
    copy = page.with_name(f"probed-{page.name}")
    copy.write_text(page.read_text(encoding="utf-8").replace("<head>", f"<head>{PROBE}", 1), encoding="utf-8")
    return copy


def widths(browser: str, page: Path) -> list[int]:
    (title,) = re.findall(r"<title>([\d ]*)</title>", dom(browser, probed(page)))
    return [int(width) for width in title.split()]


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_the_template_has_the_scripts_that_dvcs_own_page_loads_without_their_known_faults() -> None:
    template = TEMPLATE.read_text(encoding="utf-8")
    loaded = re.findall(r"/npm/([\w-]+)@([\w.]+)", VegaRenderer.SCRIPTS)
    inside = dict(re.findall(r"<script>/\* ([\w-]+)@([\d.]+), licence", template))
    assert list(inside) == [name for name, _ in loaded], "in the order in which DVC's page loads them"
    assert all(version(inside[name]) >= version(theirs) for name, theirs in loaded), "DVC uses newer ones now"
    assert version(inside["vega"]) >= WITHOUT_KNOWN_FAULTS
    named = re.findall(r'\("([\w-]+)", "([\d.]+)"\)', (ROOT / ".dvc/plots/make_page.py").read_text(encoding="utf-8"))
    assert dict(named) == inside, "run `python .dvc/plots/make_page.py`"


def test_the_template_loads_nothing_and_has_its_licences() -> None:
    template = TEMPLATE.read_text(encoding="utf-8")
    assert "{plot_divs}" in template
    assert "{scripts}" not in template
    assert not re.search(r"<script[^>]+src", template)
    assert not re.search(r"<link|<img|@import|url\(", re.sub(r"<script>.*?</script>", "", template, flags=re.DOTALL))
    for holder in ("University of Washington", "Mike Bostock", "Mapbox", "Isaac Z. Schlueter"):
        assert holder in template
    assert template.count("Redistributions in binary form must reproduce the above copyright") >= 3


def test_git_has_the_template_and_the_config_names_it(project: Path) -> None:
    assert run(project, "git", "ls-files", ".dvc/plots").stdout.split() == [
        ".dvc/plots/make_page.py",
        ".dvc/plots/page.html",
        ".dvc/plots/views.json",
    ]
    assert dvc(project, "config", "plots.html_template").stdout.strip() == "plots/page.html"


def test_every_plot_of_dvc_yaml_has_points_of_both_experiments(project: Path) -> None:
    plots = json.loads(dvc(project, "plots", "diff", "a", "b", "--json").stdout)
    assert "errors" not in plots
    curves = {name: content[0] for name, content in plots["data"].items() if content[0]["type"] == "vega"}
    assert len(curves) == NAMED + TABLES
    for name, content in curves.items():
        assert {point["rev"] for point in content["content"]["data"]["values"]} == {"a", "b"}, name


def test_dvcs_page_draws_its_curves_without_a_network(browser: str, project: Path, plots: Path) -> None:
    assert "cdn." not in plots.read_text(encoding="utf-8")
    drawn = re.findall(r"<(?:canvas|svg)[^>]*class=\"marks\"", dom(browser, plots))
    assert len(drawn) == NAMED + TABLES
    bare = project / "bare.html"
    bare.write_text(PAGE_HTML)
    dvc(project, "plots", "diff", "a", "b", "--html-template", str(bare), "--out", "bare_plots")
    assert 'class="marks"' not in dom(browser, project / "bare_plots/index.html"), "the network is not off"


def test_dvcs_page_shows_the_pictures_of_both_experiments(browser: str, plots: Path) -> None:
    found = widths(browser, plots)
    assert len(found) == 2 * (VIEWS + 2)
    assert 0 not in found


def test_curves_are_drawn_where_no_pictures_are_at_hand(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("cache", "renders", "views", "dvc_plots"))
    assert "failed to load some plots" in dvc(folder, "plots", "diff", "a", "b").stderr
    html = (folder / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert html.count("vegaEmbed('#") == NAMED + TABLES
    for name in ("a", "b"):
        assert html.count(f'"rev": "{name}"') > NAMED + TABLES, "points of each"


def test_the_report_shows_both_experiments_and_its_pictures_load(browser: str, report: Path) -> None:
    found = widths(browser, report)
    assert len(found) == 2 * (VIEWS + 2)
    assert 0 not in found
    html = report.read_text(encoding="utf-8")
    assert "<th>tiny.<wbr>train.<wbr>lr</th>" in html
    assert "<th>tiny.<wbr>field.<wbr>width</th>" in html
    assert "<th>tiny.<wbr>train.<wbr>steps</th>" not in html


def test_the_report_has_the_numbers_of_each_experiments_own_metrics(project: Path, report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    shown = dvc(project, "exp", "show", "--json").stdout
    for name in ("a", "b"):
        metrics = run(project, "git", "show", f"{experiment(shown, name)}:metrics/test.json").stdout
        (row,) = re.findall(rf"<tr><th><svg.*?</svg> {name}</th>(.*?)</tr>", html)
        assert f"{json.loads(metrics)['test']['psnr']:.2f}" in row


def experiment(shown: str, name: str) -> str:
    """The commit of an experiment, by `dvc exp show --json`."""
    (rev,) = {rev for rev, found in re.findall(r'"rev": "(\w+)", "name": "(\w+)"', shown) if found == name}
    return rev


def test_pictures_come_from_a_remote_and_their_absence_costs_one_line(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(project, folder)
    dvc(folder, "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    dvc(folder, "push")  # what the workspace has: b
    shutil.rmtree(folder / ".dvc/cache")
    printed = run(folder, sys.executable, "-m", "nerfpipe", "report", "a", "b", "--output", "remote.html").stdout
    (notice,) = [line for line in printed.splitlines() if line.startswith("notice")]
    assert notice.startswith("notice: a: no pictures of data/renders and data/views in DVC's cache here or in a remote")
    assert (folder / "remote.html").read_text(encoding="utf-8").count("<img") == VIEWS + 2

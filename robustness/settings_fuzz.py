"""params.yaml and data/scenes.yaml full of rubbish: `nerfpipe check`, a stage's entry, and DVC itself.

Every case is given to `check` and to a stage's beginning in this process: it is accepted, or exits with 1 and says
nothing but `error: ` lines; what is known to be wrong must be refused. Some are given to the real commands. No out may
be touched by any of them.

DVC reads params.yaml before any stage does, and exits with 255. What is no YAML it reports with line and column
(`ERROR: unable to read: 'params.yaml', YAML file structure is corrupted: ...`); of a missing key that dvc.yaml names it
says `ERROR: failed to parse 'stages.download.params' in 'dvc.yaml': Could not find 'scene'`, of a missing scene
`ERROR: ... Parameters 'nowhere' are missing from 'data/scenes.yaml'`, and nesting too deep is an `unexpected error`.
It walks through all that aliases and merges stand for, however much that is, so those files are kept from it here;
`nerfpipe check` says what is wrong with them at once.

What DVC can read it does not judge. That is left to the first stage, which looks at both files as `nerfpipe check` does
and says the same, before DVC takes away the outs of any other stage.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from typer.testing import CliRunner

from nerfpipe.cli.app import app
from nerfpipe.config.params import load_params
from nerfpipe.project.catalogue import load_entry
from nerfpipe.runtime.stage import stage
from robustness.counts import Counts
from robustness.project import STAGES, Project, dvc, finish, result, run, running, unclear, unsettled
from robustness.rubbish import ENDLESS, NOT_YAML, known_wrong, wrong_files

FILES = ("params.yaml", "data/scenes.yaml")
SHOWN_CHARACTERS = 60
WRITTEN, KNOWN = 3, 4  # of so many cases one is written by hand, and one known to be wrong
STAGE_FAILED = "failed to reproduce 'check'"
LONGEST_LINE = 2000  # characters: a report is to be read


def fuzz_settings(project: Project, seed_: int, work: Path, cases: int = 300, real: int = 6) -> Counts:
    """`cases` wrong files of each kind in this process, `real` of each kind through the commands."""
    counts = Counts("params and scenes")
    folder = project.copy(work / "fuzzed")
    with inside(folder):
        for name in FILES:
            sound = Path(name).read_bytes()
            wrong = drawn(sound, cases, seed_, all_required=name == FILES[0])
            for content, must_refuse in wrong.items():
                Path(name).write_bytes(content)
                counts.quiet(f"{name}, {shown(content)}", *in_process(), must_refuse)
            Path(name).write_bytes(sound)
            counts.trial(f"{name}, the outs after all of these", identical=result(folder) == project.truth)
            bearable = [content for content in wrong if content not in ENDLESS]
            chosen = random.Random(seed_).sample(bearable, min(real, len(bearable)))
            for content in chosen:
                Path(name).write_bytes(content)
                fault = through_commands(folder)
                Path(name).write_bytes(sound)
                fault = fault or taken_up_again(folder)
                counts.trial(f"{name} through the commands, {shown(content)}", fault, result(folder) == project.truth)
    return counts


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def drawn(sound: bytes, cases: int, seed_: int, all_required: bool) -> dict[bytes, bool]:
    """So many different wrong files, and whether they must be refused; the same for a seed.

    Up to a third are written by hand, a quarter is known to be wrong, the others are hypothesis's.
    """
    by_hand = NOT_YAML[:: max(1, math.ceil(len(NOT_YAML) * WRITTEN / cases))]
    known = known_wrong(yaml.safe_load(sound), all_required)
    known = random.Random(seed_).sample(known, min(len(known), cases // KNOWN))
    found = dict.fromkeys([*by_hand, *known], True)

    @seed(seed_)
    @settings(
        max_examples=cases * 3,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(wrong_files(sound))
    def collect(content: bytes) -> None:
        found.setdefault(content, False)

    collect()
    return dict(list(found.items())[:cases])


def shown(content: bytes) -> str:
    return repr(content[:SHOWN_CHARACTERS]) + (f" … {len(content)} bytes" if len(content) > SHOWN_CHARACTERS else "")


def in_process() -> tuple[str, bool]:
    """What is wrong with how `check` and the beginning of a stage take the files here, empty when nothing is; and
    whether they were accepted.
    """
    checked = CliRunner().invoke(app, ["check"])
    if checked.exception is not None and not isinstance(checked.exception, SystemExit):
        return f"`check` raised {type(checked.exception).__name__}: {str(checked.exception)[:200]}", False
    return told_well("check", checked.exit_code, checked.stderr) or entered(), checked.exit_code == 0


def entered() -> str:
    """The same for what the stage `download` does first."""
    told = io.StringIO()
    code = 0
    try:
        with contextlib.redirect_stderr(told), stage("fuzzed"):
            load_entry(load_params().scene)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    except Exception as error:  # the fault that is looked for
        return f"the stage raised {type(error).__name__}: {str(error)[:200]}"
    return told_well("the stage", code, told.getvalue())


def told_well(who: str, code: int, said: str) -> str:
    """Accepted in silence, or refused with 1 and error lines."""
    lines = said.splitlines()
    if code == 0:
        return f"{who} accepted it and said {lines[0]}" if lines else ""
    if code != 1 or not lines:
        return f"{who} exited with {code} and {len(lines)} lines"
    bad = [line for line in lines if not line.startswith("error: ") or len(line) > LONGEST_LINE]
    return f"{who} said {bad[0][:200]!r}" if bad else ""


def through_commands(folder: Path) -> str:
    """What is wrong with how the real `nerfpipe check` takes the files, and `dvc repro` where that refuses them."""
    before = result(folder)
    checked = run(folder, sys.executable, "-m", "nerfpipe", "check", check=False)
    fault = told_well("nerfpipe check", checked.returncode, checked.stderr)
    if result(folder) != before:
        return "`nerfpipe check` touched the outs"
    if fault or checked.returncode == 0:
        return fault  # sound, by chance: `dvc repro` would do as the file says
    tried = dvc(folder, "repro", check=False)
    if result(folder) != before:
        return "`dvc repro` touched the outs"
    return reported_once(tried, checked.stderr.splitlines())


def reported_once(tried: subprocess.CompletedProcess[str], faults: list[str]) -> str:
    """What is wrong with how `dvc repro` refused the files; empty when nothing is.

    One line is DVC's. Beside it stand the faults that `nerfpipe check` found, once; or none, where DVC could not read
    the file itself and says so in its line.
    """
    lines = (tried.stdout + tried.stderr).splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    refused = [line for line in lines if line.startswith("ERROR: ")]
    if tried.returncode == 0:
        return "`dvc repro` accepted what `nerfpipe check` refuses"
    if len(refused) != 1 or (told and told != faults) or bool(told) != (STAGE_FAILED in refused[0]):
        return f"dvc repro exited with {tried.returncode} and said {told + refused}, where check had said {faults}"
    return unclear(tried.stdout + tried.stderr)


def taken_up_again(folder: Path) -> str:
    """With the file put right, `dvc repro` must find all as it was: what is wrong with that."""
    try:
        said = finish(folder)
    except AssertionError as error:
        return str(error)
    again = [stage for stage in STAGES if running(stage) in said]
    return f"with the file put right it ran again: {', '.join(again)}" if again else unsettled(folder)

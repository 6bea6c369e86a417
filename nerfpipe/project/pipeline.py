"""What dvc.yaml says about a stage."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.config.yaml_file import read_yaml
from nerfpipe.project.paths import PIPELINE_FILE
from nerfpipe.runtime.errors import NerfpipeError

ROOT = Path(__file__).parents[2]  # the folder of the code that runs, with the dvc.yaml that belongs to it
PACKAGES = ("nerfpipe", "stages")
CACHE_FOLDER = "__pycache__"


def stage_code(stage: str, root: Path = ROOT) -> dict[str, Path]:
    """The source files that a stage depends on, by their path from `root`: all below its code dependencies.

    Raises NerfpipeError where the dvc.yaml in `root` is missing, damaged, or has no dependencies for the stage.
    """
    try:
        deps = read_yaml(root / PIPELINE_FILE)["stages"][stage]["deps"]
        listed = [root / dep for dep in deps if Path(dep).parts[0] in PACKAGES]
    except (KeyError, TypeError, IndexError):
        raise NerfpipeError(f"{root / PIPELINE_FILE}: stages.{stage}.deps: must list the files of the stage") from None
    files = [file for path in listed for file in (path.rglob("*") if path.is_dir() else [path])]
    sources = [file for file in files if not file.is_dir() and CACHE_FOLDER not in file.parts]
    return {file.relative_to(root).as_posix(): file for file in sorted(sources)}

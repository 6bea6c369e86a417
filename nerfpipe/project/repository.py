"""Does DVC find a repository here? A project out of a ZIP has no .git, and may have lost .dvc, which is hidden, too."""

from __future__ import annotations

import os
from pathlib import Path

from nerfpipe.project.paths import PIPELINE_FILE

NO_DVC = (
    "no .dvc folder is here, so that DVC does not run; copy it from where the project came from (it is hidden), "
    "or run `{}`"
)
NO_GIT = (
    "this folder is no git repository, so that DVC does not run; run `git init`, "
    "or `dvc config --local core.no_scm true` to do without git"
)


def repository_faults() -> list[str]:
    """What keeps DVC from running the pipeline of this folder, in lines; DVC is imported only where git is not here."""
    folder = Path.cwd()
    if not (folder / PIPELINE_FILE).exists():
        return []  # there is nothing to run
    in_git = "GIT_DIR" in os.environ or any((each / ".git").exists() for each in (folder, *folder.parents))
    if not any((each / ".dvc").is_dir() for each in (folder, *folder.parents)):
        return [NO_DVC.format("dvc init" if in_git else "dvc init --no-scm")]
    return [] if in_git or _does_without_git() else [NO_GIT]


def _does_without_git() -> bool:
    """Whether DVC's configuration, of whichever level, says `core.no_scm`."""
    from dvc.config import Config, ConfigError  # takes a second to import

    try:
        return bool(Config.from_cwd().get("core", {}).get("no_scm", False))
    except ConfigError:
        return True  # DVC says itself what is wrong with its configuration

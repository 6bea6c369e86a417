"""Stage 0: validate params.yaml and data/scenes.yaml. -> data/checked, which download waits for.

DVC deletes a stage's outs before it runs: a fault found here costs none of them. The out never changes, so that a
change of params runs only the stages that depend on it.
"""

from __future__ import annotations

from nerfpipe.config.params import PARAMS_FILE
from nerfpipe.project.check import settings_faults
from nerfpipe.project.paths import CATALOGUE_FILE, CHECKED
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import atomic_file
from nerfpipe.runtime.stage import stage


def main() -> None:
    _, _, faults = settings_faults()
    if faults:
        raise NerfpipeError(*faults)
    with atomic_file(CHECKED) as temporary:
        temporary.write_text(f"{PARAMS_FILE} and {CATALOGUE_FILE} are sound\n", encoding="utf-8")


if __name__ == "__main__":
    with stage("check"):
        main()

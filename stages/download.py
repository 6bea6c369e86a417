"""Stage 1: get the scene named in params.yaml. data/scenes.yaml -> data/raw."""

from __future__ import annotations

import time

from nerfpipe.archives.checksum import megabytes
from nerfpipe.config.params import load_params
from nerfpipe.download.acquire import make_raw
from nerfpipe.project.catalogue import load_entry
from nerfpipe.project.paths import RAW
from nerfpipe.runtime.device import keep_freed_memory, set_threads
from nerfpipe.runtime.files import atomic_folder
from nerfpipe.runtime.stage import stage
from nerfpipe.runtime.terminal import say


def main() -> None:
    started = time.monotonic()
    params = load_params()
    set_threads(params.runtime.threads)
    keep_freed_memory()
    entry = load_entry(params.scene)
    with atomic_folder(RAW) as folder:
        origin = make_raw(params.scene, entry, folder)
    size = sum(file.stat().st_size for file in RAW.rglob("*") if file.is_file())
    seconds = time.monotonic() - started
    form = f" ({entry.format})" if entry.format else ""
    say(f"{params.scene}{form}: {origin}, {megabytes(size)} in {RAW}, {seconds:.1f} s")


if __name__ == "__main__":
    with stage("download"):
        main()

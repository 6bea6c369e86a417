"""One module per DVC stage: it reads params and deps, calls nerfpipe, and writes outs."""

import sys

from nerfpipe.runtime.interrupt import end_at_once

if sys.argv[0] == "-m":  # `python -m stages.NAME` is still importing: handle signals before `stage` does
    end_at_once()

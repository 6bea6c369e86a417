"""One module per DVC stage: read params and deps, call nerfpipe, write outs. Nothing else lives here."""

import sys

from nerfpipe.runtime.interrupt import end_at_once

if sys.argv[0] == "-m":  # while `python -m stages.NAME` looks for NAME: from here on, not only from `stage` on
    end_at_once()

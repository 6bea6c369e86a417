"""One module per DVC stage: read params and deps, call nerfpipe, write outs. Nothing else lives here."""

"""`python -m nerfpipe` is the `nerfpipe` command."""

from nerfpipe.cli import app

app(prog_name="nerfpipe")

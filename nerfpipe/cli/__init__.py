"""The `nerfpipe` command."""

"""`nerfpipe report`: one self-contained HTML page of one or more runs."""

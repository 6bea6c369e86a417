"""`nerfpipe report`: one HTML page of a run or of several, with all that it shows inside it."""

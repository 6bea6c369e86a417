"""`nerfpipe view`: a trained field in a web page, drawn anew for every camera that a browser sends.

The page and its camera are viser's. Pages only ever leave word of what they want to see (`desk`); one thread draws, the
newest wish first (`painter`), as large as the machine keeps up with (`pace`). viser itself is imported by `viewer`,
`page`, `frusta` and `panel` alone, so that the rest can be tested and read without it.
"""

"""`nerfpipe view`: a trained field in a web page, rendered anew for every camera that a browser sends.

The page and its camera are viser's. Pages only leave requests (`request_queue`). One thread renders, the newest request
first (`render_thread`), at the resolution that the machine can keep up with (`adaptive_resolution`); `drawing` renders
one view. Stills and films are rendered when no page waits (`jobs`, `film_jobs`). `page.SceneOverlay` draws the scene's
cameras and the crop box over the field. Only `viewer`, `page`, `frusta` and `panel` import viser, so that the other
modules can be tested and read without it.
"""

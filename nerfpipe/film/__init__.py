"""A film around the scene: `film` renders it, `turntable` makes a page to turn it by hand (`turntable_page`)."""

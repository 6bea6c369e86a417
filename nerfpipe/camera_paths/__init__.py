"""Camera paths: named shapes (`shapes`), paths through key frames (`key_frames`), and the choice of one (`path`)."""

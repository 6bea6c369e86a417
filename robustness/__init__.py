"""What `make robustness` runs: the pipeline killed, starved and fed rubbish. Nothing here is part of the library."""

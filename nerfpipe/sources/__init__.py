"""Where data/raw comes from: made here, copied from this machine, or fetched from mirrors."""

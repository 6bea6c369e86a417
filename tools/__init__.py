"""Tools for those who work on nerfpipe; nothing in nerfpipe/ or stages/ imports them."""

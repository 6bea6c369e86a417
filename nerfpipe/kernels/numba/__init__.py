"""Kernels for the CPU, compiled by numba. Imported when first used."""

"""Numbers that a definition and its kernels share."""

from __future__ import annotations

EMPTY = 1e-6  # opacity below which a ray counts as empty and has no depth
EVERYWHERE = 0.1  # of all weights of a ray, the share by which samples are drawn evenly from its steps

FEATURES = 4  # F, numbers of a row of the hash table: a row is 16 bytes, one read of a vector unit
PRIMES = (1, 2654435761, 805459861)  # of the hash of x, y and z (Mueller et al. 2022, eq. 4)

GEOMETRY = 16  # numbers that the density network of ngp hands to its colour network
COLOURS = 4  # rows of its last layer: red, green, blue and one unused, because kernels take four at a time
LARGEST_RAW_DENSITY = 15.0  # of the raw output of an exponential density: exp(15) is opaque in any scene

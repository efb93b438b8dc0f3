"""Dtypes by NumPy's names. It needs nothing but NumPy: a Session's program has nothing else."""

import functools


def array_dtype(dtype):
    """Return the dtype that arrays have for a model's: the same, but float32 for bfloat16, which NumPy doesn't have."""
    return "float32" if dtype == "bfloat16" else dtype


@functools.lru_cache(maxsize=None)
def dtype_name(dtype):
    """Return a NumPy dtype's name; NumPy itself takes longer to make it than to copy a small array."""
    return dtype.name

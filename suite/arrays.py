"""What NumPy calls things. NumPy alone is needed: a Session's program has nothing else."""

import functools


def array_dtype(dtype):
    """Return NumPy's name of what stands for a dtype in arrays: it has no bfloat16, whose values float32 holds."""
    return "float32" if dtype == "bfloat16" else dtype


@functools.lru_cache(maxsize=None)
def dtype_name(dtype):
    """Return a NumPy dtype's name; NumPy itself takes longer for it than for copying a small array."""
    return dtype.name

"""Arithmetic with shapes."""


def product(numbers):
    """Return the product of whole numbers, 1 if there are none."""
    result = 1
    for number in numbers:
        result *= number
    return result


def reduced(shape, axes, keep):
    """Return the shape after a reduction over the axes (each from 0 on)."""
    if keep:
        return tuple(1 if index in axes else size for index, size in enumerate(shape))
    return tuple(size for index, size in enumerate(shape) if index not in axes)

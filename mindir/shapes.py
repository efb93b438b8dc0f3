"""Arithmetic with shapes."""


def product(numbers):
    """Return the product of whole numbers, 1 of none."""
    result = 1
    for each in numbers:
        result *= each
    return result


def reduced(shape, axes, keep):
    """Return the shape after a reduction over the axes (each from 0 on)."""
    if keep:
        return tuple(1 if index in axes else each for index, each in enumerate(shape))
    return tuple(each for index, each in enumerate(shape) if index not in axes)

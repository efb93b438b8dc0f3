"""Matrix products like torch's: of vectors, of stacks that broadcast, of a layer with its bias."""

from mindir.lower.table import split
from mindir.rules import rules
from mindir.shapes import product

RULES, of = rules()
BIAS = {"data_format": "NCHW", "format": "NCHW"}


def transposes(op, a, b):
    """Return both flags, under all names that 2.0's MatMul and BatchMatMul have for them."""
    made = {"transpose_a": a, "transpose_b": b, "transpose_x1": a, "transpose_x2": b}
    return {**made, "adj_x1": a, "adj_x2": b} if op == "BatchMatMul" else made


@of("MatMul", "BatchMatMul")
def matmul_of_both(net, *args):
    given, inputs = split(net, *args)
    net.result(net.op, *inputs, **transposes(net.op, given["transpose_a"], given["transpose_b"]))


@of("MatMulExt", "BatchMatMulExt", "Mm")
def matmul(net, x, y):
    made = multiply(net, x, y)
    net.done or net.result_reshaped(made)


@of("Dense", "Linear")
def dense(net, x, weight, bias=None):
    """x weight^T + bias for x (..., K), weight (N, K), bias (N)."""
    shape = net.shape(x)
    if len(net.shape(weight)) != 2 or not shape:
        net.refuse(f"of {shape} and {net.shape(weight)}", "export it with a weight of two dimensions")
    if shape.count(-1) > 1:  # not as MindSpore 2.0 has it, but as engines do
        made = net.make("MatMul", x, weight, kind=net.out, **transposes("MatMul", False, True))
        biased = bias and net.known(bias) is not None
        return net.result("Add", made, bias) if biased else net.set_result(made)
    flat = rows_of(net, x)
    kind = net.dtype(x), (net.shape(flat)[0], net.shape(weight)[0])
    made = net.make("MatMul", flat, weight, kind=kind, **transposes("MatMul", False, True))
    if bias and net.known(bias) is not None:
        made = net.make("BiasAdd", made, bias, kind=kind, **BIAS)
    return net.result_reshaped(made)


@of("Addmm", "Baddbmm", "Addmv")
def add_product(net, b, x, y, beta, alpha):
    """beta b + alpha x y."""
    made = multiply(net, x, y, inside=True)
    made = net.reshape(made, net.out[1]) if net.op == "Addmv" else made
    beta, alpha = net.numbers(beta, alpha)
    made = made if alpha == 1 else net.make("Mul", made, net.like(made, alpha))
    net.result("Add", made, b if beta == 1 else net.make("Mul", b, net.like(b, beta)))


@of("Outer")
def outer(net, x, y):
    (m,), (n,) = net.fixed(x), net.fixed(y)
    net.result("Mul", net.reshape(x, (m, 1)), net.reshape(y, (1, n)))


@of("Dot", "Mv")
def of_vectors(net, x, y):
    matmul(net, x, y)


def rows_of(net, x):
    """Return x (..., K) as (rows, K)."""
    shape = net.shape(x)
    if len(shape) == 2:
        return x
    rows = product(shape[:-1]) if min(shape[:-1], default=1) >= 0 else -1
    return net.reshape(x, (rows, shape[-1]), (-1, shape[-1]) if rows < 0 else None)


def multiply(net, x, y, inside=False):
    """Return NumPy's x @ y; if it is a single product, and not `inside` a larger rule, it is the node's result."""
    dtype, x_shape, y_shape = net.dtype(x), net.shape(x), net.shape(y)
    if not x_shape or not y_shape:
        net.refuse("of a scalar", "multiply instead")
    x = net.reshape(x, (1, *x_shape)) if len(x_shape) == 1 else x
    y = net.reshape(y, (*y_shape, 1)) if len(y_shape) == 1 else y
    a, b = net.shape(x), net.shape(y)
    whole = not inside and min(len(x_shape), len(y_shape)) > 1
    if len(b) == 2 and a.count(-1) > 1 and whole:  # not as MindSpore 2.0 has it, but as engines do
        return net.result("MatMul", x, y, **transposes("MatMul", False, False))
    if len(b) == 2:  # all rows at once
        flat = rows_of(net, x)
        flags, kind = transposes("MatMul", False, False), (dtype, (net.shape(flat)[0], b[-1]))
        if whole and len(a) == 2:
            return net.result("MatMul", flat, y, **flags)
        made = net.make("MatMul", flat, y, kind=kind, **flags)
        return made if len(a) == 2 else _unflatten(net, made, (*a[:-1], b[-1]))
    batch = _batch(net, a[:-2], b[:-2])
    x, y = (
        net.expand(x, batch + a[-2:]) if batch != a[:-2] else x,
        net.expand(y, batch + b[-2:]) if batch != b[:-2] else y,
    )
    flags, kind = transposes("BatchMatMul", False, False), (dtype, (*batch, a[-2], b[-1]))
    if whole:
        return net.result("BatchMatMul", x, y, **flags)
    return net.make("BatchMatMul", x, y, kind=kind, **flags)


def _unflatten(net, value, shape):
    return net.reshape(value, shape)


def _batch(net, a, b):
    """Return the shape that the leading dimensions broadcast to."""
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    return tuple(n if m == 1 else m if n == 1 or m > 1 else n for m, n in zip(a, b))

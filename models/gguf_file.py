"""Read a GGUF file: its metadata, and its tensors as float32.

The format is that of ggml's docs/gguf.md: b"GGUF", version, counts, key-value pairs, the tensors' names, sizes and
offsets, and after the next multiple of the alignment their data. Blocks of 32 quantized numbers are those of ggml's
ggml-common.h: a scale d, for some a minimum m, in float16, and the numbers q.
"""

import struct

import numpy as np

SCALARS = ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?", "", "", "<Q", "<q", "<d")  # by GGUF's number of a type
STRING, ARRAY = 8, 9
PLAIN = {0: "<f4", 1: "<f2"}
BLOCKS = {  # by ggml's number of a type: fields of a block, what is subtracted from q
    2: ([("d", "<f2"), ("q", "u1", 16)], 8),  # Q4_0: d (q - 8)
    3: ([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)], 0),  # Q4_1: d q + m
    8: ([("d", "<f2"), ("q", "i1", 32)], 0),  # Q8_0: d q
}


def read(data):
    """Return (metadata, tensors) of the bytes of a GGUF file: {key: value} and {name: array}.

    Arrays are float32, (outputs, inputs) for a product's weight. Raises ValueError for bytes of any other format, for
    versions other than 2 and 3, and for types of tensors that aren't known here.
    """
    try:
        return _Reader(data).read()
    except (struct.error, IndexError, UnicodeDecodeError, MemoryError) as error:
        raise ValueError(f"not a whole GGUF file: {error}") from None


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def string(self):
        size = self.number("<Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(SCALARS[kind])
        inner, count = self.number("<I"), self.number("<Q")
        return [self.value(inner) for _ in range(count)]

    def read(self):
        if bytes(self.data[:4]) != b"GGUF":
            raise ValueError(f"no GGUF file: it begins with {bytes(self.data[:4])!r}")
        self.at = 4
        version, tensors, pairs = self.number("<I"), self.number("<Q"), self.number("<Q")
        if version not in (2, 3):
            raise ValueError(f"GGUF version {version}, not 2 or 3")
        metadata = {}
        for _ in range(pairs):
            key = self.string()
            metadata[key] = self.value(self.number("<I"))
        found = []
        for _ in range(tensors):
            name, dimensions = self.string(), self.number("<I")
            shape = [self.number("<Q") for _ in range(dimensions)][::-1]
            found.append((name, shape, self.number("<I"), self.number("<Q")))
        alignment = metadata.get("general.alignment", 32)
        start = -(-self.at // alignment) * alignment
        return metadata, {name: self.tensor(name, start + offset, shape, kind) for name, shape, kind, offset in found}

    def tensor(self, name, start, shape, kind):
        if kind not in PLAIN and kind not in BLOCKS:
            raise ValueError(f"tensor {name} is of type {kind}, not one of {sorted([*PLAIN, *BLOCKS])}")
        size = int(np.prod(shape))
        if kind in PLAIN:
            return np.frombuffer(self.data, PLAIN[kind], size, start).astype(np.float32).reshape(shape)
        fields, zero = BLOCKS[kind]
        blocks = np.frombuffer(self.data, np.dtype(fields), size // 32, start)
        q = blocks["q"]
        if kind != 8:
            q = np.concatenate([q & 15, q >> 4], 1)  # a byte has numbers i and i + 16
        values = (q.astype(np.float32) - zero) * blocks["d"].astype(np.float32)[:, None]
        if "m" in blocks.dtype.names:
            values += blocks["m"].astype(np.float32)[:, None]
        return values.reshape(shape)

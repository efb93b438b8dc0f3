"""models/gguf_file.py: files made here, number by number, and files that aren't whole."""

import struct
import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "models"))
import gguf_file


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def make_gguf(tensors, version=3):
    """Return the bytes of a GGUF file with tensors [(name, shape, type, data)] and two values of metadata."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), 2)
    head += gguf_string("a.list") + struct.pack("<IIQ", 9, 8, 2) + gguf_string("é") + gguf_string("")
    head += gguf_string("a.number") + struct.pack("<If", 6, 0.25)
    data = b""
    for name, shape, kind, content in tensors:
        data += b"\0" * (-len(data) % 32)
        head += gguf_string(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        head += struct.pack("<IQ", kind, len(data))
        data += content
    return head + b"\0" * (-len(head) % 32) + data


def float16_bytes(*values):
    return np.array(values, "<f2").tobytes()


def test_each_type_is_read_number_by_number():
    low, high = np.arange(16) % 16, (3 * np.arange(16) + 1) % 16  # numbers 0 to 15 and 16 to 31 of a block
    q = (low | high << 4).astype(np.uint8).tobytes()
    numbers = np.concatenate([low, high]).astype(np.float32)
    signed = np.arange(-16, 16).astype(np.int8)
    metadata, tensors = gguf_file.read(
        make_gguf(
            [
                ("plain", (3, 2), 0, np.arange(6, dtype="<f4").tobytes()),
                ("half", (5,), 1, np.arange(5).astype("<f2").tobytes()),
                ("q4_0", (1, 32), 2, float16_bytes(0.5) + q),
                ("q4_1", (2, 32), 3, float16_bytes(0.5, -2) + q + float16_bytes(2, 1) + q),
                ("q8_0", (32,), 8, float16_bytes(0.25) + signed.tobytes()),
            ]
        )
    )
    assert metadata == {"a.list": ["é", ""], "a.number": 0.25}
    expected = {
        "plain": np.arange(6).reshape(3, 2),
        "half": np.arange(5),
        "q4_0": [(numbers - 8) * 0.5],
        "q4_1": [numbers * 0.5 - 2, numbers * 2 + 1],
        "q8_0": signed * 0.25,
    }
    assert tensors.keys() == expected.keys()
    for name, array in tensors.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, expected[name]), name


@pytest.mark.parametrize(
    "data, text",
    [
        (b"GGML" + b"\0" * 60, "no GGUF file"),
        (make_gguf([], version=1), "version 1"),
        (make_gguf([("odd", (32,), 12, b"\0" * 64)]), "odd is of type 12"),
        (make_gguf([("short", (64,), 0, b"\0" * 256)])[:-4], "buffer"),
        (make_gguf([])[:30], "not a whole GGUF file"),
    ],
)
def test_what_is_refused(data, text):
    with pytest.raises(ValueError, match=text):
        gguf_file.read(data)

"""What a file is, by its first bytes, if it isn't the MindIR or the array that was wanted.

The bytes are those of each format's own description; those of encrypted files are what MindSpore 2.0 was seen to write.
"""

import re

FIRST = 512  # bytes to look at
KINDS = (  # the place of the bytes, the bytes, what the file is and, if that is the same for everybody, what to do
    (0, b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself: git lfs pull"),
    (0, b"version https://hawser.github.com/spec/", "a Git LFS pointer, not the file itself: git lfs pull"),
    (0, b"# xet version", "a Git Xet pointer, not the file itself: git xet checkout"),
    (0, b"\xd8\x5e\x3a\x7f", "encrypted by MindSpore: export it without enc_key"),
    (0, b"\xd9\x5e\x3a\x7f", "encrypted by MindSpore: export it without enc_key"),
    (4, b"MSL0", "a .ms model of MindSpore Lite's converter"),
    (4, b"MSL1", "a .ms model of MindSpore Lite's converter"),
    (4, b"MSL2", "a .ms model of MindSpore Lite's converter"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (0, b"IMOD", "an offline model (.om) of Ascend's ATC"),
    (0, b"ftrt", "a TensorRT engine"),
    (0, b"GGUF", "a GGUF file"),
    (0, b"\x89HDF\r\n", "an HDF5 file"),
    (0, b"\x89PNG\r\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"\x93NUMPY", "a NumPy array (.npy)"),
    (0, b"PK\x03\x04", "a zip archive, as .npz and PyTorch's .pt are"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b", "compressed with gzip: gunzip it"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd: unzstd it"),
    (0, b"\xfd7zXZ", "compressed with xz: unxz it"),
    (0, b"BZh", "compressed with bzip2: bunzip2 it"),
    (257, b"ustar", "a tar archive: unpack it"),
    (0, b"\x7fELF", "a program or a library"),
    (8, b"{", "a safetensors file"),
)
TEXTS = (  # for files of text
    (re.compile(rb"\s*(<!DOCTYPE html|<html)", re.I), "a web page, perhaps from a failed download: fetch it again"),
    (re.compile(rb"\s*<\?xml"), "XML, perhaps from a failed download: fetch it again"),
    (re.compile(rb"\s*[\[{]"), "JSON"),
    (re.compile(rb"[-+.\deEnaif,; \t\r\n]+\Z"), "numbers as text"),
)
PROTOBUFS = (  # MindSpore's own and ONNX's: the fields that they begin with
    (re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x3a\x42]", re.S), "an ONNX model"),
    (re.compile(rb"\x0a.{1,3}\x0a.[ -~]+\x12.\x08", re.S), "a MindSpore checkpoint (.ckpt)"),
)


def kind(data):
    """Return what a file is by its first bytes, in words with an article; "" if they don't tell."""
    data = bytes(data[:FIRST])
    if not data:
        return "empty (0 bytes)"
    for place, mark, text in KINDS:
        if data.startswith(mark, place) and (text != "a safetensors file" or not any(data[5:8])):
            return text
    if re.match(rb"\x80[\x02-\x05]", data):
        return "pickled by Python, as PyTorch and pandas do it"
    if not re.search(rb"[\0-\x08\x0e-\x1f]", data):
        return next((text for pattern, text in TEXTS if pattern.match(data)), "a text file")
    return next((text for pattern, text in PROTOBUFS if pattern.match(data)), "")

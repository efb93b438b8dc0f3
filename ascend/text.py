"""Read a text file in UTF-8, with or without a byte order mark; refuse anything else."""

import codecs

from ascend import Refused

MARKS = (  # the longer marks first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def read(path):
    """Return the text of a UTF-8 file, without its byte order mark, CR LF as LF.

    Raises Refused if it can't be read or isn't UTF-8, with the encoding that it seems to have, or with line and byte.
    """
    try:
        with open(str(path), "rb") as file:
            data = file.read()
    except OSError as error:
        raise Refused(f"{path}: can't be read: {error.strerror}") from None
    if data.startswith(b"version https://git-lfs"):
        raise Refused(f"{path}: is a Git LFS pointer, not the file itself: git lfs pull")
    advice = "save it as UTF-8 (iconv -f {} -t UTF-8)"
    for mark, encoding in MARKS:
        if data.startswith(mark):
            raise Refused(f"{path}:1: is {encoding}: {advice.format(encoding)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = len(codecs.BOM_UTF8) * data.startswith(codecs.BOM_UTF8) + error.start
        line, byte = data.count(b"\n", 0, start) + 1, start - data.rfind(b"\n", 0, start)
        where = f"{path}:{line}: byte {byte} ({data[start]:#04x}) isn't UTF-8"
        guess = _decodes(data, "gb18030") and "GB18030"
        raise Refused(
            f"{where}, GBK perhaps: {advice.format(guess)}" if guess else f"{where}: save it as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Refused(f"{path}:{line}: has zero bytes, UTF-16 perhaps: {advice.format('UTF-16')}")
    return text.replace("\r\n", "\n")


def _decodes(data, encoding):
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True

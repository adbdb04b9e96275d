"""Decode PGM and PPM images (binary, `P5` and `P6`) without another library.

Source: the pages pgm(5) and ppm(5) of Netpbm: magic number, width, height and highest value as ASCII numbers with
white space and `#` comments between them, one white space, then the rows; two bytes a value, the high one first,
when the highest value is above 255.
"""

import re

import numpy as np

_FIELD = rb"(?:\s+|#[^\n]*\n)*"
_HEADER = re.compile(rb"(P[56])" + (_FIELD + rb"[ \t\r\n]" + _FIELD + rb"(\d{1,9})") * 3 + rb"\s")
_LONGEST_HEADER = 4096


def is_netpbm(data: bytes) -> bool:
    """Whether a file's first bytes are those of a binary PGM or PPM."""
    return data[:2] in (b"P5", b"P6")


def netpbm_size(data: bytes) -> tuple[int, int, int]:
    """`(height, width, channels)` from the first bytes of a file.

    Raises:
        ValueError: not a binary PGM or PPM.
    """
    match = _HEADER.match(data[:_LONGEST_HEADER])
    if not match:
        raise ValueError("not a binary PGM or PPM image")
    return int(match[3]), int(match[2]), 3 if match[1] == b"P6" else 1


def decode_netpbm(data: bytes) -> np.ndarray:
    """Pixels `(height, width, channels)`, uint8 from 0 to 255 whatever the file's highest value is.

    Raises:
        ValueError: not a binary PGM or PPM, or cut off.
    """
    height, width, channels = netpbm_size(data)
    match = _HEADER.match(data[:_LONGEST_HEADER])
    highest = int(match[4]) if match else 0
    if not 0 < highest < 65_536:
        raise ValueError(f"its highest value is {highest}, expected 1 to 65535")
    dtype = np.dtype("u1") if highest < 256 else np.dtype(">u2")
    count, start = height * width * channels, match.end() if match else 0
    if len(data) - start < count * dtype.itemsize:
        raise ValueError("it is cut off before its last row")
    pixels = np.frombuffer(data, dtype, count, start).reshape(height, width, channels)
    if highest == 255:
        return pixels
    scaled: np.ndarray = (np.minimum(pixels, highest).astype(np.uint32) * 255 + highest // 2) // highest
    return scaled.astype(np.uint8)

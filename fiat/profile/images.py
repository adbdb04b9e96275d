"""Format and size of encoded pictures from their first bytes, without decoding them.

Source: PNG (third edition) 11.2.1 IHDR; ITU T.81 B.2.2 (JPEG frame header); GIF89a section 18; the BITMAPINFOHEADER of
BMP; RFC 9649 (WebP) sections 2.5 to 2.7; pgm(5) and ppm(5) of Netpbm.
"""

import struct
from collections import Counter

from fiat.data.netpbm import is_netpbm, netpbm_size
from fiat.profile.model import Images

MOST_SIZES = 50
UNSUPPORTED = "unsupported"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})

Size = tuple[int, int, int]
"""Width, height, channels."""


def sniff_format(data: bytes) -> str:
    """`png`, `jpeg`, `gif`, `bmp`, `webp`, `pgm` or `ppm` by the first 12 bytes; empty for none of them."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if is_netpbm(data) and data[2:3].isspace():
        return "pgm" if data[:2] == b"P5" else "ppm"
    return "bmp" if data[:2] == b"BM" else ""


def image_size(data: bytes) -> tuple[str, Size] | None:
    """Format and size of an encoded picture; None for bytes that are none or whose header is cut or wrong."""
    kind = sniff_format(data)
    readers = {
        "png": _png,
        "jpeg": _jpeg,
        "gif": _gif,
        "bmp": _bmp,
        "webp": _webp,
        "pgm": _netpbm,
        "ppm": _netpbm,
    }
    if not kind:
        return None
    try:
        width, height, channels = readers[kind](data)
    except (ValueError, IndexError, KeyError, struct.error):
        return None
    return (kind, (width, height, channels)) if width > 0 and height > 0 else None


class ImageTally:
    """Takes pictures, says which formats and sizes there were."""

    def __init__(self) -> None:
        self._formats: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()
        self._max_bytes = 0

    @property
    def share_supported(self) -> float:
        """Share (0..1) of the values that are pictures; 0 without values."""
        n = self._formats.total()
        return (n - self._formats[UNSUPPORTED]) / n if n else 0.0

    def add(self, data: bytes, rows: int = 1) -> None:
        """Take one value, there `rows` times."""
        found = image_size(data)
        self._max_bytes = max(self._max_bytes, len(data))
        self._formats[found[0] if found else UNSUPPORTED] += rows
        if found:
            self._sizes[show_size(*found[1])] += rows

    def add_pixels(self, width: int, height: int, channels: int, rows: int) -> None:
        """Take pixels without a file."""
        self._formats["raw"] += rows
        self._sizes[show_size(width, height, channels)] += rows

    def finish(self) -> Images:
        """What was found."""
        return Images(self._formats.total(), _ordered(self._formats), _ordered(self._sizes), self._max_bytes)


def merge_images(first: Images | None, other: Images | None) -> Images | None:
    """The pictures of both."""
    if first is None or other is None:
        return first or other
    formats, sizes = (Counter(part) for part in (first.formats, first.sizes))
    formats.update(other.formats)
    sizes.update(other.sizes)
    return Images(
        first.n + other.n, _ordered(formats), _ordered(sizes), max(first.max_bytes, other.max_bytes)
    )


def show_size(width: int, height: int, channels: int) -> str:
    """A size as `Images.sizes` has it."""
    return f"{width}x{height}x{channels}"


def _ordered(counts: Counter[str]) -> dict[str, int]:
    kept = sorted(((name, n) for name, n in counts.items() if n), key=lambda item: (-item[1], item[0]))
    return dict(kept[:MOST_SIZES])


def _png(data: bytes) -> Size:
    width, height, _, color = struct.unpack_from(">IIBB", data, 16)
    return width, height, _PNG_CHANNELS[color]


def _jpeg(data: bytes) -> Size:
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("no marker")
        marker = data[place + 1]
        if marker == 0xFF or marker in _JPEG_BARE:
            place += 1 if marker == 0xFF else 2
            continue
        if marker in _JPEG_FRAMES:
            height, width, channels = struct.unpack_from(">HHB", data, place + 5)
            return width, height, channels
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]


def _gif(data: bytes) -> Size:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height, 3


def _bmp(data: bytes) -> Size:
    header = struct.unpack_from("<I", data, 14)[0]
    if header < 40:
        raise ValueError("an old header")
    width, height, _, bits = struct.unpack_from("<iiHH", data, 18)
    return width, abs(height), 4 if bits == 32 else 3


def _webp(data: bytes) -> Size:
    part = data[12:16]
    if part == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height, 4 if data[20] & 0x10 else 3
    if part == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 4 if bits >> 28 & 1 else 3
    if part == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF, 3
    raise ValueError("another part first")


def _netpbm(data: bytes) -> Size:
    height, width, channels = netpbm_size(data)
    return width, height, channels

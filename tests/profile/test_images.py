"""Pictures by their first bytes: Pillow's own files, and damage."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fiat.profile.images import image_size, sniff_format
from fiat.profile.measure import profile_batches
from fiat.profile.model import ColumnProfile


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (37, 21), **settings: object) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 4), np.uint8)
    Image.fromarray(pixels, "RGBA").convert(mode).save(stream, kind, **settings)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "channels", "settings"),
    [
        ("png", "RGB", 3, {}),
        ("png", "L", 1, {}),
        ("png", "LA", 2, {}),
        ("png", "RGBA", 4, {}),
        ("png", "P", 3, {}),
        ("jpeg", "RGB", 3, {}),
        ("jpeg", "L", 1, {}),
        ("jpeg", "CMYK", 4, {}),
        ("jpeg", "RGB", 3, {"progressive": True, "comment": b"x" * 60_000}),
        ("gif", "P", 3, {}),
        ("bmp", "RGB", 3, {}),
        ("bmp", "RGBA", 4, {}),
        ("webp", "RGB", 3, {}),
        ("webp", "RGB", 3, {"lossless": True}),
        ("webp", "RGBA", 4, {"lossless": True}),
        ("webp", "RGBA", 4, {}),
        ("ppm", "RGB", 3, {}),
        ("pgm", "L", 1, {}),
    ],
)
def test_format_and_size_are_those_of_the_picture(
    kind: str, mode: str, channels: int, settings: dict[str, object]
) -> None:
    data = encoded("ppm" if kind == "pgm" else kind, mode, **settings)
    assert image_size(data) == (kind, (37, 21, channels))
    assert sniff_format(data[:12]) == kind


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "webp", "ppm"])
@pytest.mark.parametrize("kept", [4, 9, 13])
def test_a_picture_cut_in_its_header_is_none(kind: str, kept: int) -> None:
    found = image_size(encoded(kind)[:kept])
    assert found is None or (kind in ("ppm", "gif") and found[1] == (37, 21, 3))


@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBP", b"BM", b"P5 "]),
)
def test_any_bytes_give_an_answer(data: bytes, start: bytes) -> None:
    found = image_size(start + data)
    assert found is None or min(found[1]) > 0


def column(values: list[bytes | None]) -> ColumnProfile:
    return profile_batches([pa.record_batch([pa.array(values, pa.binary())], ["x"])]).columns[0]


def test_a_column_of_encoded_pictures_is_an_image_column() -> None:
    png, jpeg = encoded("png"), encoded("jpeg", size=(8, 9))
    found = column([png, jpeg, png, b"<html>not found</html>", None])
    assert (found.kind, found.n_missing, found.n_distinct) == ("image", 1, 3)
    assert found.images is not None
    assert found.images.formats == {"png": 2, "jpeg": 1, "unsupported": 1}
    assert found.images.sizes == {"37x21x3": 2, "8x9x3": 1}
    assert found.images.max_bytes == max(len(png), len(jpeg))
    assert (found.top, found.n_invalid_utf8) == ((), 0)


def test_bytes_that_are_mostly_no_pictures_are_bytes() -> None:
    found = column([encoded("png"), b"a", b"\xff"])
    assert (found.kind, found.images, found.n_invalid_utf8) == ("bytes", None, 2)
    assert found.lengths is not None
    assert found.lengths.min == 1

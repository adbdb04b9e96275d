"""Pictures of another format or size, and bytes that are none, are told with their rows."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fiat.data.stream import tensor_array
from fiat.profile.images import MOST_SIZES
from fiat.validate.model import ColumnSchema, ImageDomain
from tests.validate.judged import Case, dataset, judge, show_and_clear

Image = pytest.importorskip("PIL.Image")
ID = ColumnSchema("id", type="int")


def picture(kind: str = "PNG", width: int = 16, height: int = 16) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height)).save(out, kind)
    return out.getvalue()


def asked(**more: object) -> ColumnSchema:
    return ColumnSchema("x", type="image", image=ImageDomain(**more))  # type: ignore[arg-type]  # settings of a test


PNG, JPEG = picture(), picture("JPEG")
WIDE, HIGH = picture(width=64), picture(height=64)
CASES = [
    Case(
        "images_unsupported",
        asked(min_supported=0.75),
        pa.array([PNG, b"no picture", None, PNG]),
        pa.array([PNG, None, PNG, PNG, b"no picture"]),
        (2,),
        value={"bytes": 10, "begins": "no picture"},
        says="0.6667 of the rows are pictures that can be read, expected 0.75",
    ),
    Case(
        "images_unsupported",
        asked(),
        pa.array([PNG, b"x", b"y"]),  # so few pictures that the column is no longer one of pictures
        pa.array([PNG]),
        (2, 3),
        value={"bytes": 1, "begins": "x"},
        says="0.3333 of the rows",
    ),
    Case(
        "image_too_many_bytes",
        asked(max_bytes=len(PNG)),
        pa.array([PNG, PNG + b"\0", None]),
        pa.array([PNG, None]),
        (2,),
        value={"bytes": len(PNG) + 1, "format": "png", "size": "16x16x3"},
        says=f"1 row has more than {len(PNG)} bytes, the largest {len(PNG) + 1}",
    ),
    Case(
        "image_format",
        asked(formats=("png",)),
        pa.array([PNG, JPEG, None, JPEG]),
        pa.array([PNG, None]),
        (2, 4),
        value={"bytes": len(JPEG), "format": "jpeg", "size": "16x16x3"},
        says="found 2 jpeg, expected png",
    ),
    Case(
        "image_width",
        asked(min_width=8, max_width=32),
        pa.array([PNG, WIDE, HIGH]),
        pa.array([PNG, HIGH]),
        (2,),
        value={"bytes": len(WIDE), "format": "png", "size": "64x16x3"},
        says="1 picture has a width that is not 8 to 32 pixels, found 64",
    ),
    Case(
        "image_height",
        asked(min_height=32),
        pa.array([HIGH, PNG]),
        pa.array([HIGH]),
        (2,),
        value={"bytes": len(PNG), "format": "png", "size": "16x16x3"},
        says="a height that is not 32 or more pixels, found 16",
    ),
    Case(
        "image_width",
        asked(max_width=20),
        tensor_array(np.zeros((2, 16, 24), np.uint8)),
        tensor_array(np.zeros((2, 24, 16), np.uint8)),
        (1, 2),
        value={"shape": "16x24", "first": [0] * 10},
        says="2 pictures have a width that is not 1 to 20 pixels, found 24",
    ),
    Case(
        "image_format",
        asked(formats=("png", "jpeg")),
        tensor_array(np.zeros((1, 16, 24), np.uint8)),
        pa.array([PNG, JPEG]),
        (1,),
        value={"shape": "16x24", "first": [0] * 10},
        says="found 1 raw, expected png or jpeg",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pictures_that_are_not_as_asked_are_told_with_their_rows(case: Case, tmp_path: Path) -> None:
    show_and_clear(case, tmp_path)


def test_of_more_sizes_than_a_profile_keeps_each_row_is_looked_at(tmp_path: Path) -> None:
    pictures = [picture(width=8 + index) for index in range(MOST_SIZES + 30)]
    folder = dataset(tmp_path / "d", {"id": pa.array(range(len(pictures))), "x": pa.array(pictures)})
    (found,) = judge(folder, [ID, asked(max_width=len(pictures) + 5)]).anomalies
    assert (found.kind, found.n_rows) == ("image_width", 2)
    assert [item.row for item in found.examples] == [len(pictures) - 1, len(pictures)]

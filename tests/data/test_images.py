"""Folders of images in: one size, labels by folder, damage told by file."""

import struct
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest

from fiat.data.images import read_images
from fiat.data.netpbm import decode_netpbm
from fiat.data.stream import Reading, SourceFile
from fiat.errors import SpecError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "orl-faces"


def pgm(values: np.ndarray, highest: int = 255) -> bytes:
    kind = b"P6" if values.ndim == 3 else b"P5"
    size = b"%d %d" % (values.shape[1], values.shape[0])
    return kind + b"\n# a comment\n" + size + b"\n%d\n" % highest + values.tobytes()


def png_start(wide: int, high: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", wide, high, 8, 0, 0, 0, 0)
    pixels = b"\0\0\0\4IDAT" + bytes(8)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + pixels


def reading(folder: Path) -> Reading:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return read_images([SourceFile(path, path.relative_to(folder).as_posix()) for path in paths])


def pixels(read: Reading) -> np.ndarray:
    return np.concatenate([piece.batch.column("image").to_numpy_ndarray() for piece in read.pieces()])


def values(read: Reading, column: str) -> list[str]:
    return [value for piece in read.pieces() for value in piece.batch.column(column).to_pylist()]


def test_folders_are_labels_and_pixels_are_kept(tmp_path: Path) -> None:
    wanted = np.random.default_rng(0).integers(0, 256, (6, 4, 5), np.uint8)
    for index, image in enumerate(wanted):
        path = tmp_path / f"class{index % 2}" / f"{index}.pgm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pgm(image))
    read = reading(tmp_path)
    assert np.array_equal(pixels(read), wanted[[0, 2, 4, 1, 3, 5]])
    assert values(read, "label") == ["class0"] * 3 + ["class1"] * 3
    assert values(read, "path")[3] == "class1/1.pgm"


def test_png_and_jpeg_are_read_and_grey_ones_among_colour_become_colour(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    colour = np.random.default_rng(1).integers(0, 256, (8, 9, 3), np.uint8)
    pillow.fromarray(colour).save(tmp_path / "a.png")
    pillow.fromarray(np.full((8, 9), 77, np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "c.ppm").write_bytes(pgm(colour))
    (tmp_path / "d.pgm").write_bytes(pgm(colour[:, :, 0]))
    pillow.fromarray(np.full((8, 9, 3), 200, np.uint8)).save(tmp_path / "e.jpg")
    found = pixels(reading(tmp_path))
    assert found.shape == (5, 8, 9, 3)
    assert np.array_equal(found[0], colour)
    assert (found[1] == 77).all()
    assert np.array_equal(found[2], colour)
    assert np.array_equal(found[3], np.repeat(colour[:, :, :1], 3, axis=2))
    assert np.abs(found[4].astype(int) - 200).max() <= 2


def test_an_orientation_tag_is_obeyed(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    upright = np.zeros((4, 8), np.uint8)
    upright[:, 0] = 255
    turned = pillow.fromarray(np.rot90(upright))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "a.png", exif=exif)
    (tmp_path / "b.pgm").write_bytes(pgm(upright))
    found = pixels(reading(tmp_path))
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (pgm(np.zeros((3, 3), np.uint8)), "3x3 pixels, but a.pgm is 5x4"),
        (pgm(np.zeros((4, 5), np.uint8))[:-1], "cut off before its last row"),
        (pgm(np.zeros((4, 5), np.uint8), 0), "highest value is 0"),
        (b"P5 99999999 99999999 255 ", "pixels, expected 1 to"),
        (b"P5 garbage", "not a binary PGM or PPM"),
        (b"", "no image that can be read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
        (png_start(40_000, 40_000), "more pixels than the 67108864 allowed"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "no image that can be read"),
    ],
)
def test_a_bad_image_is_told_with_its_file(tmp_path: Path, data: bytes, says: str) -> None:
    pytest.importorskip("PIL.Image")
    (tmp_path / "a.pgm").write_bytes(pgm(np.zeros((4, 5), np.uint8)))
    (tmp_path / "b.png").write_bytes(data)
    with pytest.raises(SpecError, match=says) as caught:
        pixels(reading(tmp_path))
    assert caught.value.where is not None
    assert caught.value.where.file == "b.png"


def test_a_png_cut_in_its_pixels_is_told(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.png"
    pillow.fromarray(np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(SpecError, match="a damaged image"):
        pixels(reading(tmp_path))


def test_other_highest_values_are_scaled_to_a_byte() -> None:
    assert decode_netpbm(pgm(np.array([[0, 5, 10]], np.uint8), 10)).ravel().tolist() == [0, 128, 255]
    assert decode_netpbm(pgm(np.array([[0, 32768, 65535]], ">u2"), 65535)).ravel().tolist() == [0, 128, 255]


def test_without_pillow_a_png_names_what_to_install_and_pgm_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(pgm(np.zeros((2, 2), np.uint8)))
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code = """
        import sys
        sys.modules["PIL"] = None
        from pathlib import Path
        from fiat.data.images import read_images
        from fiat.data.stream import SourceFile
        from fiat.errors import EnvironmentFault
        grey, png = (SourceFile(Path(sys.argv[1]) / name, name) for name in ("a.pgm", "b.png"))
        print(sum(piece.batch.num_rows for piece in read_images([grey]).pieces()))
        try:
            read_images([grey, png])
        except EnvironmentFault as error:
            print(error)
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout == "1\nb.png needs Pillow, which is not installed (pip install pillow)\n"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the ORL faces beside the repository")
def test_the_orl_faces_are_forty_people_with_ten_pictures_each() -> None:
    paths = sorted(SHARED.glob("*/*.pgm"))
    read = read_images([SourceFile(path, path.relative_to(SHARED).as_posix()) for path in paths])
    assert pixels(read).shape == (400, 112, 92)
    labels = values(read, "label")
    assert len(set(labels)) == 40
    assert labels.count("s7") == 10

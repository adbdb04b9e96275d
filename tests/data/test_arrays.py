"""Arrays in: npy, npz and idx, with everything about their headers and sizes checked."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from fiat.data.read import read_files
from fiat.data.stream import Reading, ReadOptions, SourceFile
from fiat.errors import SpecError


def reading(folder: Path, format_name: str = "npy") -> Reading:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = [SourceFile(path, path.relative_to(folder).as_posix()) for path in paths]
    return read_files(files, ReadOptions(format_name))


def columns(read: Reading) -> dict[str, np.ndarray]:
    batches = [piece.batch for piece in read.pieces()]
    found = {}
    for name in read.schema.names:
        parts = [batch.column(name) for batch in batches]
        tensor = hasattr(parts[0], "to_numpy_ndarray")
        arrays = [
            part.to_numpy_ndarray() if tensor else part.to_numpy(zero_copy_only=False) for part in parts
        ]
        found[name] = np.concatenate(arrays)
    return found


def idx_bytes(values: np.ndarray, code: int = 0x08) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, code, values.ndim, *values.shape) + values.tobytes()


def test_npy_files_of_one_folder_are_columns_named_by_file(tmp_path: Path) -> None:
    big = np.random.default_rng(0).normal(size=(70_000, 3, 2)).astype(">f8")
    labels = (np.arange(70_000) % 7).astype(np.uint16)
    np.save(tmp_path / "X.npy", big)
    np.save(tmp_path / "y.npy", labels)
    found = columns(reading(tmp_path))
    assert np.array_equal(found["X"], big)
    assert found["X"].dtype == np.dtype("f8")
    assert np.array_equal(found["y"], labels)
    assert str(reading(tmp_path).schema.field("y").type) == "int64"


def test_folders_of_npy_files_follow_each_other(tmp_path: Path) -> None:
    for part, first in (("a", 0), ("b", 10)):
        (tmp_path / part).mkdir()
        np.save(tmp_path / part / "x.npy", np.arange(first, first + 5))
    read = reading(tmp_path)
    assert columns(read)["x"].tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert [piece.files for piece in read.pieces()] == [("a/x.npy",), ("b/x.npy",)]


def test_an_npz_file_holds_a_column_a_member(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "d.npz", x=np.ones((4, 2), np.float32), name=np.array(["a", "b", "c", "d"])
    )
    found = columns(reading(tmp_path))
    assert found["x"].shape == (4, 2)
    assert found["name"].tolist() == ["a", "b", "c", "d"]


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("trapped"),)


def test_an_array_of_objects_is_refused_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "x.npy", np.array([Trap()], object), allow_pickle=True)
    with pytest.raises(SpecError, match="never unpickled"):
        reading(tmp_path / "in")
    (tmp_path / "in" / "x.npy").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SpecError, match="not of the"):
        reading(tmp_path / "in")
    assert not (tmp_path / "trapped").exists()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not of the .npy format"),
        (b"\x93NUMPY\x01\x00", "header"),
        (header("{'descr': '<f8'"), "header"),
        (header("__import__('os').system('true')"), "header"),
        (header("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2)}"), "Fortran order"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"), "impossible shape"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': ()}"), "single value"),
        (header("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}"), "complex128"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 0)}"), "rows are empty"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (0,)}"), "no rows"),
    ],
)
def test_a_bad_npy_header_is_a_fault(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(SpecError, match=says):
        reading(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"), [(-5, "cut off in row 3 of 3"), (4, "more bytes than its 3 rows")]
)
def test_a_npy_file_of_another_length_than_its_header_says_is_a_fault(
    tmp_path: Path, change: int, says: str
) -> None:
    out = io.BytesIO()
    np.save(out, np.arange(3.0))
    data = out.getvalue()
    (tmp_path / "x.npy").write_bytes(data[:change] if change < 0 else data + bytes(change))
    with pytest.raises(SpecError, match=says):
        list(reading(tmp_path).pieces())


def test_arrays_of_one_group_need_the_same_number_of_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", np.zeros((5, 2)))
    np.save(tmp_path / "y.npy", np.zeros(4))
    with pytest.raises(SpecError, match=r"'y' has 4 rows, but 'X' of X.npy has 5"):
        reading(tmp_path)


def test_idx_files_pair_images_with_labels_by_prefix(tmp_path: Path) -> None:
    for prefix, n_rows in (("train", 9), ("t10k", 4)):
        images = np.arange(n_rows * 6, dtype=np.uint8).reshape(n_rows, 2, 3)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(images)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(n_rows, dtype=np.uint8)))
    read = reading(tmp_path, "idx")
    assert read.schema.names == ["image", "label"]
    assert [str(kind) for kind in read.schema.types][1] == "int64"
    pieces = list(read.pieces())
    assert [piece.files[0] for piece in pieces] == ["t10k-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"]
    assert columns(read)["image"].shape == (13, 2, 3)
    assert columns(read)["label"].tolist() == [0, 1, 2, 3, *range(9)]


def test_idx_floats_are_read_in_their_byte_order(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0], [3.0, 4.25]], ">f4")
    (tmp_path / "a-points-idx2-float").write_bytes(idx_bytes(values, 0x0D))
    assert columns(reading(tmp_path, "idx"))["points"].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (b"\0\0\x08", b"", "not an idx file"),
        (b"PNG!!!!!!!!!!!!!!!!", b"", "starts with 50 4e 47 21"),
        (b"\0\0\x07\x01\0\0\0\x01x", b"", "not an idx file"),
        (b"\0\0\x08\x03\0\0\0\x01", b"", "header of the idx file is cut off"),
        (idx_bytes(np.zeros((3, 2, 2), np.uint8))[:-1], b"", "cut off in row 3 of 3"),
        (idx_bytes(np.zeros((3, 2, 2), np.uint8)) + b"x", b"", "more bytes than its 3 rows"),
        (idx_bytes(np.zeros((3, 2, 2), np.uint8)), idx_bytes(np.zeros(2, np.uint8)), "'label' has 2 rows"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**20, 2**20), b"", "a row has more than 64 MiB"),
        (struct.pack(">HBB2I", 0, 8, 2, 2**32 - 1, 2**20), b"", "cut off in row 1 of 4294967295"),
    ],
)
def test_a_bad_idx_file_is_a_fault(tmp_path: Path, images: bytes, labels: bytes, says: str) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    if labels:
        (tmp_path / "train-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(SpecError, match=says):
        list(reading(tmp_path, "idx").pieces())


def test_a_cut_gzip_file_of_a_group_is_blamed_on_that_file(tmp_path: Path) -> None:
    images = gzip.compress(
        idx_bytes(np.random.default_rng(1).integers(0, 255, (500, 20, 20)).astype(np.uint8))
    )
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(images[:-50])
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(500, np.uint8))))
    with pytest.raises(SpecError, match="cut off") as caught:
        list(reading(tmp_path, "idx").pieces())
    assert caught.value.where is not None
    assert caught.value.where.file == "train-images-idx3-ubyte.gz"

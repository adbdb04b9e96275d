"""The four files of Fashion-MNIST: the real ones where they lie beside the repository, else made up."""

import gzip
import shutil
from pathlib import Path

import numpy as np

REAL = Path(__file__).parents[2] / "shared" / "data" / "fashion-mnist"
CLASSES = 10


def lay_images(folder: Path, *, rows: int) -> str:
    """Write the files into a folder.

    Args:
        folder: made anew.
        rows: how many images to train on, when they are made up; a sixth of them to judge by.

    Returns:
        Which they are, for the name of a line.
    """
    if REAL.is_dir():
        shutil.copytree(REAL, folder)
        return "real"
    folder.mkdir()
    draw = np.random.default_rng(7)
    kinds = draw.integers(0, 255, (CLASSES, 28, 28))
    for part, count in (("train", rows), ("t10k", rows // 6)):
        labels = draw.integers(0, CLASSES, count).astype(np.uint8)
        images = (kinds[labels] * 0.5 + draw.integers(0, 128, (count, 28, 28))).astype(np.uint8)
        _write(folder / f"{part}-labels-idx1-ubyte.gz", labels)
        _write(folder / f"{part}-images-idx3-ubyte.gz", images)
    return "made-up"


def _write(path: Path, array: np.ndarray) -> None:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())

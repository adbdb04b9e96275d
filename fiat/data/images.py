"""Read folders of images: PNG and JPEG by Pillow, binary PGM and PPM by ourselves.

Columns: `image` (uint8, height x width for grey, height x width x 3 when any image has colour), `label` (name of the
folder that the image lies in) and `path`. All images have one size. Orientation tags are obeyed, transparency is dropped.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
import pyarrow as pa

from fiat.data.cells import MOST_NAMED, listed
from fiat.data.netpbm import decode_netpbm, is_netpbm, netpbm_size
from fiat.data.stream import (
    ABOUT,
    Piece,
    Reading,
    SourceFile,
    file_fault,
    reading,
    rows_per_piece,
    tensor_array,
)
from fiat.errors import EnvironmentFault, SpecError

try:
    from PIL import Image, ImageOps, UnidentifiedImageError

    HAS_PILLOW = True
except ModuleNotFoundError:  # PGM and PPM are read without it
    HAS_PILLOW = False

MOST_PIXELS = 64 * 1024 * 1024
_READ = ("PNG", "JPEG", "PPM")
"""What Pillow may take a file for. It goes by the content, and starts Ghostscript for a PostScript that is named `.png`."""
_GREY_MODES = ("1", "L", "LA")


def read_images(files: Sequence[SourceFile]) -> Reading:
    """Look at the size of every image, then offer them decoded in batches.

    Raises:
        SpecError: a file that is no image, is cut off, or has another size than the first; more than MOST_PIXELS.
        EnvironmentFault: a PNG or JPEG and no Pillow.
    """
    sizes = _sizes(files)
    height, width, _ = sizes[0]
    odd = [(file.name, size) for file, size in zip(files, sizes, strict=True) if size[:2] != (height, width)]
    if odd:
        name, size = odd[0]
        message = f"the image is {size[1]}x{size[0]} pixels, but {files[0].name} is {width}x{height}"
        others = listed([f"{name} {size[1]}x{size[0]}" for name, size in odd[1:MOST_NAMED]], len(odd) - 1)
        message += f"; others are {others}" if others else ""
        raise file_fault(name, message, hint="bring all images to one size first")
    colour = any(channels == 3 for _, _, channels in sizes)
    shape = (height, width, 3) if colour else (height, width)
    labels = [PurePosixPath(file.name).parent.name for file in files]
    fields = [
        pa.field("image", pa.fixed_shape_tensor(pa.uint8(), shape)),
        pa.field("label", pa.string()),
        pa.field("path", pa.string(), metadata=ABOUT),
    ]
    schema = pa.schema(fields)
    return Reading(schema, lambda: _pieces(files, labels, schema, shape))


def _pieces(
    files: Sequence[SourceFile], labels: Sequence[str], schema: pa.Schema, shape: tuple[int, ...]
) -> Iterator[Piece]:
    step = rows_per_piece(int(np.prod(shape)))
    for start in range(0, len(files), step):
        chosen = files[start : start + step]
        pixels = np.stack([_decode(file, shape) for file in chosen])
        names = [file.name for file in chosen]
        columns = [tensor_array(pixels), pa.array(labels[start : start + step]), pa.array(names)]
        yield Piece(pa.record_batch(columns, schema), tuple(names), start + 1)


def _sizes(files: Sequence[SourceFile]) -> list[tuple[int, int, int]]:
    """The size of each image; images that have none are told together."""
    sizes, faults = [], []
    for file in files:
        try:
            sizes.append(_size(file))
        except SpecError as error:
            faults.append((file.name, error))
    if faults:
        name, first = faults[0]
        others = listed([name for name, _ in faults[1:MOST_NAMED]], len(faults) - 1)
        message = f"{first.message}; nor can {others} be used" if others else first.message
        raise file_fault(name, message, hint=first.hint)
    return sizes


def _size(file: SourceFile) -> tuple[int, int, int]:
    with reading(file.name), file.path.open("rb") as stream:
        start = stream.read(4096)
    try:
        if is_netpbm(start):
            size = netpbm_size(start)
        else:
            _need_pillow(file)
            with Image.open(file.path, formats=_READ) as image:
                turned = image.getexif().get(0x0112, 1) >= 5
                wide, high = image.size[::-1] if turned else image.size
                size = (high, wide, 1 if image.mode in _GREY_MODES else 3)
    except (ValueError, OSError, SyntaxError) as error:
        raise _damaged(file, error) from error
    except Exception as error:
        if HAS_PILLOW and isinstance(error, Image.DecompressionBombError):
            raise file_fault(file.name, f"more pixels than the {MOST_PIXELS} allowed") from error
        raise
    if not 0 < size[0] * size[1] <= MOST_PIXELS:
        raise file_fault(file.name, f"the image has {size[0] * size[1]} pixels, expected 1 to {MOST_PIXELS}")
    return size


def _decode(file: SourceFile, shape: tuple[int, ...]) -> np.ndarray:
    with reading(file.name):
        data = file.path.read_bytes() if is_netpbm(_start(file)) else b""
    try:
        if data:
            pixels = decode_netpbm(data)
        else:
            with Image.open(file.path, formats=_READ) as image:
                upright = ImageOps.exif_transpose(image)
                pixels = np.asarray(upright.convert("RGB" if len(shape) == 3 else "L"))
    except (ValueError, OSError, SyntaxError) as error:
        raise _damaged(file, error) from error
    if len(shape) == 3:
        return np.broadcast_to(pixels, shape)
    return pixels.reshape(shape)


def _start(file: SourceFile) -> bytes:
    with file.path.open("rb") as stream:
        return stream.read(2)


def _damaged(file: SourceFile, error: Exception) -> SpecError:
    if HAS_PILLOW and isinstance(error, UnidentifiedImageError):
        return file_fault(file.name, "no image that can be read", hint="PNG, JPEG, PGM or PPM")
    return file_fault(file.name, f"a damaged image: {error}")


def _need_pillow(file: SourceFile) -> None:
    if not HAS_PILLOW:
        raise EnvironmentFault(f"{file.name} needs Pillow, which is not installed", hint="pip install pillow")

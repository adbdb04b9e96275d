"""Are a column's pictures as asked? The profile answers where it can; encoded pictures are looked at by their headers."""

from collections.abc import Callable

import pyarrow as pa

from fiat.profile.images import MOST_SIZES, UNSUPPORTED, Size, image_size, show_size
from fiat.profile.model import Images
from fiat.validate.model import Anomaly, ImageDomain
from fiat.validate.row_masks import pictures, present
from fiat.validate.rows_look import Seen, as_json
from fiat.validate.subject import Subject

_BEGIN_BYTES = 20


def check_images(subject: Subject) -> tuple[Anomaly, ...]:
    """Share of rows that are pictures, their format, size in pixels and in bytes."""
    asked, images = subject.asked.image, subject.found.images
    if asked is None or not subject.n_present or subject.found.kind not in ("image", "bytes"):
        return ()
    if images is None:  # most of the bytes are no pictures, and a profile tells no more of them
        return _check_supported(subject, asked, None)
    return (
        *_check_supported(subject, asked, images),
        *_check_formats(subject, asked, images),
        *_check_side(subject, images, "width", asked.min_width, asked.max_width),
        *_check_side(subject, images, "height", asked.min_height, asked.max_height),
        *_check_bytes(subject, asked, images),
    )


def _check_supported(subject: Subject, asked: ImageDomain, images: Images | None) -> tuple[Anomaly, ...]:
    if images is not None:
        n_bad = images.formats.get(UNSUPPORTED, 0)
        if images.n - n_bad >= asked.min_supported * images.n * (1 - 1e-12):
            return ()
        seen = subject.rows(pictures(lambda data: image_size(data) is None), _shown)
    else:
        seen = subject.rows(pictures(lambda data: image_size(data) is None), _shown)
        n_bad = subject.n_present if seen.n_rows is None else seen.n_rows
    share = 1 - n_bad / subject.n_present
    found = "fewer than half" if images is None and seen.n_rows is None else f"{share:.4g}"
    if images is None and seen.n_rows is not None and share >= asked.min_supported:
        return ()
    message = f"{found} of the rows are pictures that can be read, expected {asked.min_supported:g}"
    return (
        subject.anomaly(
            "images_unsupported",
            message,
            field="image.supported",
            seen=seen,
            n_rows=n_bad,
            value=share,
            limit=asked.min_supported,
        ),
    )


def _check_formats(subject: Subject, asked: ImageDomain, images: Images) -> tuple[Anomaly, ...]:
    others = {
        name: n for name, n in images.formats.items() if name not in asked.formats and name != UNSUPPORTED
    }
    if not asked.formats or not others:
        return ()
    seen = _encoded(subject, lambda found, _: found not in asked.formats)
    found = ", ".join(f"{n:,} {name}" for name, n in others.items())
    message = f"found {found}, expected {' or '.join(asked.formats)}"
    return (
        subject.anomaly(
            "image_format", message, field="image.formats", seen=seen, n_rows=sum(others.values())
        ),
    )


def _check_side(
    subject: Subject, images: Images, side: str, low: int | None, high: int | None
) -> tuple[Anomaly, ...]:
    if low is None and high is None:
        return ()
    place = 0 if side == "width" else 1

    def wrong(size: Size) -> bool:
        return (low is not None and size[place] < low) or (high is not None and size[place] > high)

    sizes = {text: _size(text) for text in images.sizes}
    bad = {text: size for text, size in sizes.items() if wrong(size)}
    if not bad and len(sizes) < MOST_SIZES:
        return ()
    seen = _encoded(subject, lambda _, size: wrong(size))
    n_bad = sum(images.sizes[text] for text in bad) if seen.n_rows is None else seen.n_rows
    if not n_bad:
        return ()
    expected = f"{low or 1:,} or more" if high is None else f"{low or 1:,} to {high:,}"
    worst = sorted(size[place] for size in bad.values())
    found = f", found {worst[0]:,}" + (f" to {worst[-1]:,}" if worst[-1] != worst[0] else "") if worst else ""
    message = f"{n_bad:,} {'picture has' if n_bad == 1 else 'pictures have'} a {side} that is not {expected} pixels{found}"
    return (subject.anomaly(f"image_{side}", message, field=f"image.{side}", seen=seen, n_rows=n_bad),)


def _check_bytes(subject: Subject, asked: ImageDomain, images: Images) -> tuple[Anomaly, ...]:
    most = asked.max_bytes
    if most is None or images.max_bytes <= most:
        return ()
    seen = subject.rows(pictures(lambda data: len(data) > most), _shown)
    message = f"{seen.words('has', 'have')} more than {most:,} bytes, the largest {images.max_bytes:,}"
    return (
        subject.anomaly(
            "image_too_many_bytes",
            message,
            field="image.max_bytes",
            seen=seen,
            value=images.max_bytes,
            limit=most,
        ),
    )


def _encoded(subject: Subject, wrong: Callable[[str, Size], bool]) -> Seen:
    """Rows whose pictures are wrong; pixels without a file are all of one format and size."""
    if subject.found.shape is not None:
        return subject.rows(present)

    def mask(data: bytes) -> bool:
        found = image_size(data)
        return found is not None and wrong(*found)

    return subject.rows(pictures(mask), _shown)


def _size(text: str) -> Size:
    width, height, channels = (int(part) for part in text.split("x"))
    return width, height, channels


def _shown(values: pa.Array, index: int) -> object:
    """A picture by what its header says; what is none, by its first bytes."""
    data = values[index].as_py()
    found = image_size(data)
    if found is None:
        return {"bytes": len(data), "begins": as_json(data[:_BEGIN_BYTES])}
    return {"bytes": len(data), "format": found[0], "size": show_size(*found[1])}

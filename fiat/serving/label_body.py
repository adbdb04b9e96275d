"""Labels that clients send later: `POST /fiat/labels` with `{"model"?, "labels": [{"id", "row"?, "label"}, ...]}`."""

from collections.abc import Sequence

import msgspec

from fiat.serving.log_buffer import Label
from fiat.serving.refusal import BadRequest

MOST_ROWS = 1 << 31
"""No request has so many."""


class _Label(msgspec.Struct):
    id: str
    label: str | float | bool
    row: int = 0


class _Labels(msgspec.Struct):
    labels: list[_Label]
    model: str = ""


def read_labels(body: bytes) -> tuple[str, Sequence[Label]]:
    """Read a body.

    Returns:
        The model's name, empty when it says none, and the labels.

    Raises:
        BadRequest: it has another form.
    """
    try:
        found = msgspec.json.decode(body, type=_Labels)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(f"the body has no labels: {error}") from error
    for item in found.labels:
        if not item.id or not 0 <= item.row < MOST_ROWS:
            raise BadRequest("each label needs the id of its request, and its row from 0 on")
    return found.model, [Label(item.id, item.label, item.row) for item in found.labels]

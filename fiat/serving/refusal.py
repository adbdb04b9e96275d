"""What a client got wrong, told to the client: never our fault, so never a 500."""


class BadRequest(Exception):
    """A request that can't be answered because of what it says.

    Attributes:
        message: one sentence that names the tensor and what was expected.
        status: of the HTTP answer, 400 unless a more exact one exists.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


_LONGEST = 120


def shown(value: object) -> str:
    """What a client sent, quoted for a sentence and cut where it becomes long."""
    if isinstance(value, str):
        text = repr(value[: _LONGEST + 1])
    elif isinstance(value, list) and len(value) > _LONGEST:
        text = str(value[:_LONGEST])
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

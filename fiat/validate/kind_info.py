"""What is said of a kind of anomaly."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KindInfo:
    """What a kind of anomaly is.

    Attributes:
        title: what it means, a phrase.
        field: field of the schema (`columns.*...`) or of the spec (`checks[*]...`) that asks for it; `data` where
            nothing has to ask.
        tfdv: names of TFDV's anomaly types that it covers; empty where TFDV has none.
    """

    title: str
    field: str
    tfdv: tuple[str, ...] = ()

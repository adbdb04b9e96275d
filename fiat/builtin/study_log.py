"""The log of a trial over all of its attempts: what it said, up to the moment at which all was killed.

What a trial says reaches the ledger a moment later, and its checkpoint may have been made by then: a trial that has nothing
left to do says nothing more.
"""

from pathlib import Path

from fiat.builtin.study_curve import Curve
from fiat.journal import read_metric

_BEGINS = b"--- a child begins in "


def mark_beginning(path: Path, job_id: str) -> None:
    """Say in the log that another child begins.

    Raises:
        OSError: the disk refused.
    """
    with open(path, "ab") as file:
        file.write(_BEGINS + job_id.encode() + b"\n")


def said_before(path: Path, metric: str) -> Curve:
    """The values of a metric, as far as the log has them; empty when there is none."""
    curve, begins = Curve(), True
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.startswith(_BEGINS):
                    begins = True
                    continue
                found = read_metric(line.decode("utf-8", "replace")) if line.startswith(b"FIAT_") else None
                if found is None or found[0] != metric:
                    continue
                if begins:
                    curve, begins = curve.before(found[2]), False
                curve.add([(found[2], found[1])])
    except OSError:
        return Curve()
    return curve

"""The data report: one HTML page with a row a column, splits side by side, anomalies first."""

from dataclasses import dataclass

from fiat.profile.model import DataProfile
from fiat.validate.model import Findings, Schema


@dataclass(frozen=True)
class DataPage:
    """What the data report shows.

    Attributes:
        title: how people call the data.
        profile: of every split and slice.
        schema: that they were held against, or the inferred one.
        findings: anomalies; None when nothing was checked.
        previous: of the accepted data before these; None when there is none.
        made_at: aware UTC as ISO 8601 text.
    """

    title: str
    profile: DataProfile
    schema: Schema
    findings: Findings | None = None
    previous: DataProfile | None = None
    made_at: str = ""


def render_data(page: DataPage) -> str:
    """The page as one self-contained HTML document: no script from elsewhere, no request to anywhere."""
    raise NotImplementedError(page.title)

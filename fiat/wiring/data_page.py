"""The data report of a target."""

from fiat.builtin.page_data import DataPage, render_data
from fiat.profile.document import read_profile
from fiat.validate.model import Findings
from fiat.wiring.data_target import Target
from fiat.wiring.desk import utc_now


def data_page(target: Target, findings: Findings | None = None) -> str:
    """The HTML page that describes the data; with anomalies first when they were checked."""
    previous = target.previous()
    page = DataPage(
        title=target.title,
        profile=target.profile(),
        schema=target.schema(),
        findings=findings,
        previous=read_profile(previous) if previous is not None else None,
        made_at=utc_now().isoformat(timespec="seconds"),
    )
    return render_data(page)

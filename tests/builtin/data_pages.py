"""Pages of described data, and how tests read them."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))

from data_samples import measured, sample_findings, sample_profile, sample_schema

from fiat.builtin.page_data import DataPage
from fiat.profile.model import DataProfile
from fiat.validate.infer import infer_schema
from fiat.validate.model import Findings

MADE_AT = "2026-11-21T06:15:00+00:00"


def sample_page() -> DataPage:
    return DataPage("taxi: data.trips", sample_profile(), sample_schema(), sample_findings(), None, MADE_AT)


def page_of(table: pa.Table, **more: object) -> DataPage:
    profile = DataProfile((measured(table, "train"),))
    return replace(DataPage("a file", profile, infer_schema(profile), Findings()), **more)  # type: ignore[arg-type]


def column_of(html: str, name: str) -> str:
    """The row of a column, as HTML."""
    parts = re.split(r'(?=<details class="field")', html)
    return next(part for part in parts if f"<h3><bdi>{name}</bdi></h3>" in part).split("</section>")[0]


def facts_of(html: str, name: str) -> dict[str, list[str]]:
    """The lines of numbers of a column, a value a split."""
    lines = re.findall(r"<th scope=\"row\">([^<]*)</th>((?:<td>[^<]*</td>)+)", column_of(html, name))
    return {title: re.findall(r"<td>([^<]*)</td>", cells) for title, cells in reversed(lines)}


def values_table(column: str) -> str:
    found = re.search(r'<table class="small values">.*?</table>', column, re.S)
    assert found is not None
    return found[0]

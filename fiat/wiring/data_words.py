"""What `fiat data` and `fiat schema` print."""

from collections.abc import Sequence

from fiat.builtin.view_data import changes_sheet, description_sheet, findings_sheet
from fiat.builtin.view_diff import difference_sheet
from fiat.validate.infer import infer_schema
from fiat.validate.model import Findings
from fiat.validate.schema_diff import Change
from fiat.validate.schema_write import write_schema
from fiat.wiring.data_diff import DataDiff
from fiat.wiring.data_target import Target
from fiat.wiring.views import print_sheet


def show_description(target: Target) -> None:
    """Every column of every split."""
    print_sheet(description_sheet(target.title, target.profile()))


def show_findings(target: Target, findings: Findings) -> None:
    """What does not hold."""
    print_sheet(findings_sheet(target.title, findings))


def show_difference(found: DataDiff) -> None:
    """Rows and columns that differ."""
    print_sheet(difference_sheet(found))


def show_changes(title: str, changes: Sequence[Change]) -> None:
    """What is another in a schema."""
    print_sheet(changes_sheet(title, changes))


def inferred_text(target: Target) -> str:
    """The inferred schema as YAML, with what was seen."""
    profile = target.profile()
    return write_schema(infer_schema(profile), profile)

"""What a dataset's schema file says of reading it: the type of each column, and where a bad cell is only a warning."""

from collections.abc import Mapping
from pathlib import Path

from fiat.data.confined import named_path
from fiat.errors import SpecError, Where
from fiat.ports.confinement import Confinement
from fiat.validate.model import Schema
from fiat.validate.schema_file import read_schema

MOST_SCHEMA_BYTES = 4 << 20


def declared_types(schema: Schema | None) -> tuple[dict[str, str], frozenset[str]]:
    """Column to what it is said to hold, and the columns whose bad cells are told and not refused."""
    columns = schema.columns if schema else ()
    types = {column.name: str(column.type) for column in columns if column.type is not None}
    return types, frozenset(column.name for column in columns if column.severity == "warn")


def schema_of(params: Mapping[str, object], root: Path, policy: Confinement) -> Schema | None:
    """The schema that `data.<name>.schema` names, None when there is none.

    Raises:
        SpecError: it is not there, not granted, or wrong.
    """
    name = params.get("schema")
    if not name:
        return None
    path, where = named_path(str(name), root, policy, "schema"), Where("spec", key="schema")
    if not path.is_file():
        raise SpecError(
            f"there is no schema {name}", hint="`fiat schema freeze` writes one to review", where=where
        )
    with path.open("rb") as stream:
        content = stream.read(MOST_SCHEMA_BYTES + 1)
    if len(content) > MOST_SCHEMA_BYTES:
        raise SpecError(f"the schema {name} has more than {MOST_SCHEMA_BYTES >> 20} MiB", where=where)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise SpecError(f"the schema {name} is no UTF-8 text", where=where) from None
    return read_schema(text, str(name))

"""Which columns a dataset has to the model: label, features, and the rest."""

import difflib
from dataclasses import dataclass

import pyarrow as pa

from fiat.data.layout import is_feature
from fiat.data.stream import ABOUT, is_tensor
from fiat.errors import SpecError


@dataclass(frozen=True)
class ColumnChoice:
    """What the spec says of columns.

    Attributes:
        label: column to predict; None for none.
        features: columns that the model sees; None for all that nothing else claims.
        drop: columns that it does not see.
        others: columns with another duty (split key, split column), no features unless named.
    """

    label: str | None = None
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def choose_features(schema: pa.Schema, choice: ColumnChoice) -> tuple[str, ...]:
    """The feature columns, in their order in the spec or in the data.

    Raises:
        SpecError: a name that is no column or stands twice, a label among the features, a feature that no model can take,
            none left.
    """
    named = [("label", choice.label)] if choice.label else []
    named += [("features", name) for name in choice.features or ()]
    named += [("drop", name) for name in choice.drop] + [("split", name) for name in choice.others]
    for key, name in named:
        if name not in schema.names:
            raise SpecError(
                f"{key} names column {name!r}, which the data does not have", hint=_near(name, schema.names)
            )
    if choice.label and not _is_label(schema.field(choice.label).type):
        kind = schema.field(choice.label).type
        raise SpecError(f"label {choice.label!r} holds {kind}, expected one number, bool or text a row")
    if choice.features is None:
        claimed = {choice.label, *choice.drop, *choice.others}
        about = {field.name for field in schema if field.metadata == ABOUT}
        features = tuple(name for name in schema.names if name not in claimed | about)
    else:
        features = choice.features
    twice = next((name for place, name in enumerate(features) if name in features[:place]), None)
    if twice is not None:
        raise SpecError(f"features names column {twice!r} twice", hint="take one of them out")
    if choice.label in features:
        raise SpecError(
            f"{choice.label!r} is the label and can't be a feature", hint="take it out of `features`"
        )
    if not features:
        raise SpecError("no feature column is left", hint=f"the data has {', '.join(schema.names)}")
    for name in features:
        if not is_feature(schema.field(name).type):
            message = f"column {name!r} holds {schema.field(name).type}, which no model can take"
            raise SpecError(message, hint="list it under `drop`")
    return features


def describe_columns(schema: pa.Schema) -> list[dict[str, object]]:
    """Name, type and shape (None for single values) of each column, as JSON values."""
    return [
        {
            "name": field.name,
            "type": str(field.type.value_type if is_tensor(field.type) else field.type),
            "shape": list(field.type.shape) if is_tensor(field.type) else None,
        }
        for field in schema
    ]


def _is_label(kind: pa.DataType) -> bool:
    return is_feature(kind) and not is_tensor(kind) and not pa.types.is_temporal(kind)


def _near(name: str, names: list[str]) -> str:
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names[:20])}"

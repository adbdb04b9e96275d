"""Documents that Fiat publishes the schema of."""

from collections.abc import Callable, Mapping

from fiat.spec.operator_section import operator_schema
from fiat.spec.schema import spec_schema

SCHEMAS: Mapping[str, Callable[[], Mapping[str, object]]] = {"spec": spec_schema, "runner": operator_schema}

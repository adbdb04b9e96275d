"""Every kind of anomaly: its name, what it means, what asks for it, and what TensorFlow Data Validation calls it.

Source: names and conditions of the others' kinds: `tensorflow_metadata.proto.v0.anomalies_pb2.AnomalyInfo.Type` and
"TensorFlow Data Validation Anomalies Reference" (g3doc/anomalies.md of tensorflow/data-validation).
"""

from collections.abc import Mapping
from types import MappingProxyType

from fiat.validate.kind_info import KindInfo
from fiat.validate.kinds_of_data import MOVED, PRESENCE, ROWS, SCHEMA
from fiat.validate.kinds_of_values import TYPES, VALUES

KINDS: Mapping[str, KindInfo] = MappingProxyType({**TYPES, **VALUES, **PRESENCE, **SCHEMA, **MOVED, **ROWS})
"""Name to what it is, in the order of the documentation."""

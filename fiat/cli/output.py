"""What commands print: one JSON document, or text."""

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path


def print_json(document: object) -> None:
    """Print one document; dataclasses, times and paths become JSON, NaN becomes null."""
    json.dump(plain(document), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def plain(value: object) -> object:
    """JSON values of anything that Fiat's rooms give."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value

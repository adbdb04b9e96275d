"""The words of the spec's `transform` and their operations."""

from collections.abc import Mapping

from fiat.transform.categories import CATEGORIES
from fiat.transform.crossing import Cross
from fiat.transform.dates import DATES
from fiat.transform.images import IMAGES
from fiat.transform.impute import Impute
from fiat.transform.model import Operation
from fiat.transform.numbers import NUMBERS
from fiat.transform.texts import TEXTS
from fiat.transform.tokens import TOKENS

OPERATIONS: Mapping[str, Operation] = {
    **NUMBERS,
    **CATEGORIES,
    "cross": Cross(),
    "impute": Impute(),
    **TEXTS,
    **TOKENS,
    **DATES,
    **IMAGES,
}

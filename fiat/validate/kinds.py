"""Every kind of anomaly: its name, what it means, what asks for it, and what TensorFlow Data Validation calls it.

Source: names and conditions of the others' kinds: `tensorflow_metadata.proto.v0.anomalies_pb2.AnomalyInfo.Type` and
"TensorFlow Data Validation Anomalies Reference" (g3doc/anomalies.md of tensorflow/data-validation).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class KindInfo:
    """What a kind of anomaly is.

    Attributes:
        title: what it means, a phrase.
        field: field of the schema (`columns.*...`) or of the spec (`checks[*]...`) that asks for it; `data` where
            nothing has to ask.
        tfdv: names of TFDV's anomaly types that it covers; empty where TFDV has none.
    """

    title: str
    field: str
    tfdv: tuple[str, ...] = ()


_TYPES = {
    "not_bool": KindInfo(
        "expected bools, found another type",
        "columns.*.type",
        (
            "UNEXPECTED_DATA_TYPE",
            "BOOL_TYPE_BYTES_NOT_INT",
            "BOOL_TYPE_BYTES_NOT_STRING",
            "BOOL_TYPE_FLOAT_NOT_INT",
            "BOOL_TYPE_FLOAT_NOT_STRING",
            "BOOL_TYPE_INT_NOT_STRING",
            "BOOL_TYPE_STRING_NOT_INT",
        ),
    ),
    "bool_above": KindInfo(
        "a bool written as a whole number above 1", "columns.*.type", ("BOOL_TYPE_BIG_INT",)
    ),
    "bool_below": KindInfo(
        "a bool written as a whole number below 0", "columns.*.type", ("BOOL_TYPE_SMALL_INT",)
    ),
    "bool_other_text": KindInfo(
        "a bool written as another text than the two expected",
        "columns.*.type",
        ("BOOL_TYPE_UNEXPECTED_STRING",),
    ),
    "bool_other_float": KindInfo(
        "a bool written as another number than 0.0 and 1.0", "columns.*.type", ("BOOL_TYPE_UNEXPECTED_FLOAT",)
    ),
    "not_int": KindInfo(
        "expected whole numbers, found another type",
        "columns.*.type",
        ("UNEXPECTED_DATA_TYPE", "INT_TYPE_INT_EXPECTED", "INT_TYPE_UNKNOWN_TYPE_NUMBER"),
    ),
    "not_float": KindInfo(
        "expected numbers, found another type (whole numbers are numbers)",
        "columns.*.type",
        ("UNEXPECTED_DATA_TYPE", "FLOAT_TYPE_NOT_FLOAT", "FLOAT_TYPE_UNKNOWN_TYPE_NUMBER"),
    ),
    "not_text": KindInfo(
        "expected texts, found another type",
        "columns.*.type",
        ("UNEXPECTED_DATA_TYPE", "ENUM_TYPE_BYTES_NOT_STRING", "INT_TYPE_NOT_STRING"),
    ),
    "text_now_int": KindInfo(
        "expected texts, found whole numbers only",
        "columns.*.type",
        (
            "UNEXPECTED_DATA_TYPE",
            "STRING_TYPE_NOW_INT",
            "ENUM_TYPE_INT_NOT_STRING",
            "INT_TYPE_STRING_EXPECTED",
        ),
    ),
    "text_now_float": KindInfo(
        "expected texts, found numbers only",
        "columns.*.type",
        (
            "UNEXPECTED_DATA_TYPE",
            "STRING_TYPE_NOW_FLOAT",
            "ENUM_TYPE_FLOAT_NOT_STRING",
            "FLOAT_TYPE_NON_STRING",
        ),
    ),
    "not_bytes": KindInfo("expected bytes, found another type", "columns.*.type", ("UNEXPECTED_DATA_TYPE",)),
    "not_time": KindInfo(
        "expected dates or times, found another type", "columns.*.type", ("UNEXPECTED_DATA_TYPE",)
    ),
    "not_list": KindInfo(
        "expected lists, found one value a row", "columns.*.type", ("VALUE_NESTEDNESS_MISMATCH",)
    ),
    "not_tensor": KindInfo(
        "expected tensors, found another type", "columns.*.type", ("UNEXPECTED_DATA_TYPE",)
    ),
    "not_image": KindInfo(
        "expected pictures, found another type", "columns.*.type", ("UNEXPECTED_DATA_TYPE",)
    ),
    "unexpected_repeated": KindInfo(
        "expected one value a row, found lists", "columns.*.type", ("FEATURE_TYPE_UNEXPECTED_REPEATED",)
    ),
    "nested_values": KindInfo(
        "expected lists of values, found lists of lists", "columns.*.type", ("VALUE_NESTEDNESS_MISMATCH",)
    ),
}

_VALUES = {
    "unparsable_int": KindInfo(
        "texts that are no whole numbers, where whole numbers are expected",
        "columns.*.type",
        ("INT_TYPE_NOT_INT_STRING",),
    ),
    "unparsable_float": KindInfo(
        "texts that are no numbers, where numbers (or texts with a range) are expected",
        "columns.*.type, columns.*.range",
        ("FLOAT_TYPE_STRING_NOT_FLOAT",),
    ),
    "out_of_range_low": KindInfo(
        "numbers below the smallest allowed",
        "columns.*.range.min",
        ("INT_TYPE_SMALL_INT", "FLOAT_TYPE_SMALL_FLOAT"),
    ),
    "out_of_range_high": KindInfo(
        "numbers above the largest allowed",
        "columns.*.range.max",
        ("INT_TYPE_BIG_INT", "FLOAT_TYPE_BIG_FLOAT"),
    ),
    "unexpected_values": KindInfo(
        "more values outside the list than its tolerance allows",
        "columns.*.values, columns.*.mass",
        ("ENUM_TYPE_UNEXPECTED_STRING_VALUES",),
    ),
    "regex_mismatch": KindInfo("texts that don't match the pattern", "columns.*.regex"),
    "text_too_short": KindInfo("texts with too few characters", "columns.*.length.min"),
    "text_too_long": KindInfo("texts with too many characters", "columns.*.length.max"),
    "invalid_utf8": KindInfo(
        "bytes that are no UTF-8, where texts are expected", "columns.*.type", ("ENUM_TYPE_INVALID_UTF8",)
    ),
    "has_nan": KindInfo("NaN, where none is allowed", "columns.*.nan", ("FLOAT_TYPE_HAS_NAN",)),
    "has_inf": KindInfo("infinities, where none are allowed", "columns.*.inf", ("FLOAT_TYPE_HAS_INF",)),
    "shape_mismatch": KindInfo(
        "tensors, embeddings or lists of another shape",
        "columns.*.shape",
        ("INVALID_FEATURE_SHAPE", "EMBEDDING_SHAPE_INVALID"),
    ),
    "too_few_values": KindInfo(
        "rows with too few values in their list", "columns.*.per_row.min", ("FEATURE_TYPE_LOW_NUMBER_VALUES",)
    ),
    "too_many_values": KindInfo(
        "rows with too many values in their list",
        "columns.*.per_row.max",
        ("FEATURE_TYPE_HIGH_NUMBER_VALUES",),
    ),
    "not_unique": KindInfo("values that occur more than once", "columns.*.unique"),
    "too_few_distinct": KindInfo(
        "too few different values", "columns.*.distinct.min", ("FEATURE_TYPE_LOW_UNIQUE",)
    ),
    "too_many_distinct": KindInfo(
        "too many different values", "columns.*.distinct.max", ("FEATURE_TYPE_HIGH_UNIQUE",)
    ),
    "distinct_not_counted": KindInfo(
        "different values are limited, but of this type none are counted",
        "columns.*.unique, columns.*.distinct",
        ("FEATURE_TYPE_NO_UNIQUE",),
    ),
    "images_unsupported": KindInfo(
        "too many rows that hold no picture that can be read",
        "columns.*.image.supported",
        ("LOW_SUPPORTED_IMAGE_FRACTION",),
    ),
    "image_too_many_bytes": KindInfo(
        "pictures of too many bytes", "columns.*.image.max_bytes", ("MAX_IMAGE_BYTE_SIZE_EXCEEDED",)
    ),
    "image_format": KindInfo("pictures of another format", "columns.*.image.formats"),
    "image_width": KindInfo("pictures too narrow or too wide", "columns.*.image.width"),
    "image_height": KindInfo("pictures too low or too high", "columns.*.image.height"),
}

_PRESENCE = {
    "column_missing": KindInfo(
        "a column of the schema is not in the data",
        "columns.*.required, checks[*].columns.missing",
        ("SCHEMA_MISSING_COLUMN",),
    ),
    "column_new": KindInfo(
        "a column of the data is not in the schema", "checks[*].columns.unexpected", ("SCHEMA_NEW_COLUMN",)
    ),
    "column_empty": KindInfo(
        "a required column holds no value at all", "columns.*.required", ("FEATURE_TYPE_NOT_PRESENT",)
    ),
    "no_values": KindInfo("all lists of a column are empty", "columns.*.type", ("FEATURE_TYPE_NO_VALUES",)),
    "present_share_low": KindInfo(
        "too small a share of the rows has a value",
        "columns.*.present.share",
        ("FEATURE_TYPE_LOW_FRACTION_PRESENT",),
    ),
    "present_count_low": KindInfo(
        "too few rows have a value", "columns.*.present.count", ("FEATURE_TYPE_LOW_NUMBER_PRESENT",)
    ),
    "no_rows": KindInfo("the dataset has no rows", "data", ("NO_DATA_IN_SPAN",)),
    "too_few_rows": KindInfo("too few rows", "rows.min, checks[*].rows.min", ("DATASET_LOW_NUM_EXAMPLES",)),
    "too_many_rows": KindInfo(
        "too many rows", "rows.max, checks[*].rows.max", ("DATASET_HIGH_NUM_EXAMPLES",)
    ),
}

_SCHEMA = {
    "column_unnamed": KindInfo(
        "the schema has a column without a name", "columns", ("FEATURE_MISSING_NAME",)
    ),
    "type_missing": KindInfo(
        "the schema limits a column's values but not its type", "columns.*.type", ("FEATURE_MISSING_TYPE",)
    ),
    "domain_invalid_for_type": KindInfo(
        "a limit that columns of this type don't have", "columns.*", ("DOMAIN_INVALID_FOR_TYPE",)
    ),
    "domain_invalid": KindInfo(
        "limits of values that nothing can meet, or a pattern that is none",
        "columns.*.range, columns.*.values, columns.*.regex, columns.*.length",
        ("INVALID_DOMAIN_SPECIFICATION",),
    ),
    "bool_domain_invalid": KindInfo(
        "bools written as other than two different texts", "columns.*.values", ("BOOL_TYPE_INVALID_CONFIG",)
    ),
    "schema_invalid": KindInfo(
        "a schema that contradicts itself", "columns.*, rows, label", ("INVALID_SCHEMA_SPECIFICATION",)
    ),
    "not_judged": KindInfo(
        "something is asked for that can't be told from what is at hand",
        "columns.*",
        ("STATS_NOT_AVAILABLE",),
    ),
}

_MOVED = {
    "rows_dropped": KindInfo(
        "fewer rows than other data by more than allowed",
        "checks[*].rows.change",
        ("COMPARATOR_LOW_NUM_EXAMPLES",),
    ),
    "rows_grown": KindInfo(
        "more rows than other data by more than allowed",
        "checks[*].rows.change",
        ("COMPARATOR_HIGH_NUM_EXAMPLES",),
    ),
    "drift": KindInfo(
        "a column's distribution moved too far from earlier data",
        "columns.*.drift, checks[*].drift",
        ("COMPARATOR_L_INFTY_HIGH", "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH"),
    ),
    "skew": KindInfo(
        "a column's distribution is too far from what is served, or from train",
        "columns.*.skew, checks[*].skew",
        (
            "COMPARATOR_L_INFTY_HIGH",
            "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
            "SCHEMA_TRAINING_SERVING_SKEW",
        ),
    ),
    "label_balance": KindInfo("the label's distribution moved too far", "checks[*].label"),
    "kind_changed": KindInfo(
        "a column holds another type than in the data it is compared with",
        "columns.*.drift, columns.*.skew, checks[*].drift, checks[*].skew",
    ),
    "control_missing": KindInfo(
        "the data to compare with are not there, or have no rows",
        "checks[*].*.against",
        ("COMPARATOR_CONTROL_DATA_MISSING",),
    ),
    "column_control_missing": KindInfo(
        "a column is not in the data to compare with",
        "columns.*.drift, columns.*.skew, checks[*].drift, checks[*].skew",
        ("COMPARATOR_CONTROL_DATA_MISSING",),
    ),
    "treatment_missing": KindInfo(
        "a split to be compared has no rows", "checks[*].*.against", ("COMPARATOR_TREATMENT_DATA_MISSING",)
    ),
    "column_treatment_missing": KindInfo(
        "a column to be compared is only in the other data",
        "columns.*.drift, columns.*.skew, checks[*].drift, checks[*].skew",
        ("COMPARATOR_TREATMENT_DATA_MISSING",),
    ),
}

_ROWS = {
    "duplicates_across": KindInfo("equal rows in two splits", "checks[*].duplicates.across"),
    "near_duplicates_across": KindInfo("nearly equal rows in two splits", "checks[*].duplicates.near"),
    "duplicates_within": KindInfo("equal rows in one split", "checks[*].duplicates.within"),
    "leak": KindInfo("a column that gives the label away", "checks[*].leak"),
    "sql": KindInfo("a query found rows, or counted more than none", "checks[*].sql", ("CUSTOM_VALIDATION",)),
}

KINDS: Mapping[str, KindInfo] = MappingProxyType(
    {**_TYPES, **_VALUES, **_PRESENCE, **_SCHEMA, **_MOVED, **_ROWS}
)
"""Name to what it is, in the order of the documentation."""

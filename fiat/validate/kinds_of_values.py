"""Kinds of anomalies that are of a column: its type, and the values in it."""

from fiat.validate.kind_info import KindInfo

TYPES = {
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

VALUES = {
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

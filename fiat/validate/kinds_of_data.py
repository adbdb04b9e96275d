"""Kinds of anomalies that are of the whole: columns and rows that lack, the schema, what moved, rules over rows."""

from fiat.validate.kind_info import KindInfo

PRESENCE = {
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

SCHEMA = {
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

MOVED = {
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

ROWS = {
    "duplicates_across": KindInfo("equal rows in two splits", "checks[*].duplicates.across"),
    "near_duplicates_across": KindInfo("nearly equal rows in two splits", "checks[*].duplicates.near"),
    "duplicates_within": KindInfo("equal rows in one split", "checks[*].duplicates.within"),
    "leak": KindInfo("a column that gives the label away", "checks[*].leak"),
    "sql": KindInfo("a query found rows, or counted more than none", "checks[*].sql", ("CUSTOM_VALIDATION",)),
}

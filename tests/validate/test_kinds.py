"""The kinds of anomalies, and how many of those of TensorFlow Data Validation they cover."""

import ast
from pathlib import Path

from fiat.validate.kinds import KINDS

ROOM = Path(__file__).parent.parent.parent / "fiat" / "validate"

# Source: "TensorFlow Data Validation Anomalies Reference" (g3doc/anomalies.md of tensorflow/data-validation), all types but
# those with "Anomaly type not detected in TFDV"; the numbers are those of AnomalyInfo.Type.
DETECTED_BY_TFDV = {
    "BOOL_TYPE_BIG_INT": 1,
    "BOOL_TYPE_SMALL_INT": 7,
    "BOOL_TYPE_UNEXPECTED_STRING": 9,
    "ENUM_TYPE_INVALID_UTF8": 13,
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": 14,
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": 15,
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": 16,
    "FEATURE_TYPE_LOW_NUMBER_PRESENT": 17,
    "FEATURE_TYPE_LOW_NUMBER_VALUES": 18,
    "FEATURE_TYPE_NOT_PRESENT": 19,
    "FLOAT_TYPE_BIG_FLOAT": 22,
    "FLOAT_TYPE_SMALL_FLOAT": 24,
    "FLOAT_TYPE_STRING_NOT_FLOAT": 25,
    "INT_TYPE_BIG_INT": 28,
    "INT_TYPE_NOT_INT_STRING": 30,
    "INT_TYPE_SMALL_INT": 32,
    "SCHEMA_MISSING_COLUMN": 35,
    "SCHEMA_NEW_COLUMN": 36,
    "COMPARATOR_CONTROL_DATA_MISSING": 40,
    "COMPARATOR_L_INFTY_HIGH": 42,
    "SPARSE_FEATURE_MISSING_VALUE": 44,
    "SPARSE_FEATURE_MISSING_INDEX": 45,
    "SPARSE_FEATURE_LENGTH_MISMATCH": 46,
    "SPARSE_FEATURE_NAME_COLLISION": 47,
    "SEMANTIC_DOMAIN_UPDATE": 48,
    "COMPARATOR_LOW_NUM_EXAMPLES": 49,
    "COMPARATOR_HIGH_NUM_EXAMPLES": 50,
    "DATASET_LOW_NUM_EXAMPLES": 51,
    "BOOL_TYPE_UNEXPECTED_FLOAT": 52,
    "FLOAT_TYPE_HAS_NAN": 53,
    "WEIGHTED_FEATURE_NAME_COLLISION": 54,
    "WEIGHTED_FEATURE_MISSING_VALUE": 55,
    "WEIGHTED_FEATURE_MISSING_WEIGHT": 56,
    "WEIGHTED_FEATURE_LENGTH_MISMATCH": 57,
    "DATASET_HIGH_NUM_EXAMPLES": 58,
    "FEATURE_TYPE_HIGH_UNIQUE": 59,
    "FEATURE_TYPE_LOW_UNIQUE": 60,
    "FEATURE_TYPE_NO_UNIQUE": 61,
    "FLOAT_TYPE_HAS_INF": 62,
    "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH": 63,
    "LOW_SUPPORTED_IMAGE_FRACTION": 64,
    "VALUE_NESTEDNESS_MISMATCH": 65,
    "DOMAIN_INVALID_FOR_TYPE": 66,
    "FEATURE_MISSING_NAME": 67,
    "FEATURE_MISSING_TYPE": 68,
    "INVALID_SCHEMA_SPECIFICATION": 69,
    "UNEXPECTED_DATA_TYPE": 70,
    "SEQUENCE_VALUE_TOO_FEW_OCCURRENCES": 71,
    "SEQUENCE_VALUE_TOO_MANY_OCCURRENCES": 72,
    "SEQUENCE_VALUE_TOO_SMALL_FRACTION": 73,
    "SEQUENCE_VALUE_TOO_LARGE_FRACTION": 74,
    "FEATURE_COVERAGE_TOO_LOW": 75,
    "FEATURE_COVERAGE_TOO_SHORT_AVG_TOKEN_LENGTH": 76,
    "MAX_IMAGE_BYTE_SIZE_EXCEEDED": 79,
    "INVALID_FEATURE_SHAPE": 80,
    "INVALID_DOMAIN_SPECIFICATION": 81,
    "STATS_NOT_AVAILABLE": 83,
}
NOT_DETECTED_BY_TFDV = {
    "BOOL_TYPE_BYTES_NOT_INT": 2,
    "BOOL_TYPE_BYTES_NOT_STRING": 3,
    "BOOL_TYPE_FLOAT_NOT_INT": 4,
    "BOOL_TYPE_FLOAT_NOT_STRING": 5,
    "BOOL_TYPE_INT_NOT_STRING": 6,
    "BOOL_TYPE_STRING_NOT_INT": 8,
    "ENUM_TYPE_BYTES_NOT_STRING": 10,
    "ENUM_TYPE_FLOAT_NOT_STRING": 11,
    "ENUM_TYPE_INT_NOT_STRING": 12,
    "FEATURE_TYPE_NO_VALUES": 20,
    "FEATURE_TYPE_UNEXPECTED_REPEATED": 21,
    "FLOAT_TYPE_NOT_FLOAT": 23,
    "FLOAT_TYPE_NON_STRING": 26,
    "FLOAT_TYPE_UNKNOWN_TYPE_NUMBER": 27,
    "INT_TYPE_INT_EXPECTED": 29,
    "INT_TYPE_NOT_STRING": 31,
    "INT_TYPE_STRING_EXPECTED": 33,
    "INT_TYPE_UNKNOWN_TYPE_NUMBER": 34,
    "SCHEMA_TRAINING_SERVING_SKEW": 37,
    "STRING_TYPE_NOW_FLOAT": 38,
    "STRING_TYPE_NOW_INT": 39,
    "COMPARATOR_TREATMENT_DATA_MISSING": 41,
    "NO_DATA_IN_SPAN": 43,
    "EMBEDDING_SHAPE_INVALID": 78,
    "CUSTOM_VALIDATION": 86,
    "BOOL_TYPE_INVALID_CONFIG": 88,
}


def test_tfdv_detects_57_kinds() -> None:
    assert len(DETECTED_BY_TFDV) == 57
    assert not DETECTED_BY_TFDV.keys() & NOT_DETECTED_BY_TFDV.keys()


def test_all_of_them_are_covered_but_sparse_weighted_and_language_features() -> None:
    covered = {name for info in KINDS.values() for name in info.tfdv}
    assert covered <= DETECTED_BY_TFDV.keys() | NOT_DETECTED_BY_TFDV.keys()
    assert len(covered & DETECTED_BY_TFDV.keys()) >= 40
    left = ("SPARSE_", "WEIGHTED_", "SEQUENCE_", "FEATURE_COVERAGE_", "SEMANTIC_DOMAIN_UPDATE")
    assert {name for name in DETECTED_BY_TFDV if name not in covered} == {
        name for name in DETECTED_BY_TFDV if name.startswith(left)
    }
    assert covered >= NOT_DETECTED_BY_TFDV.keys()


def test_every_kind_says_what_it_means_and_what_asks_for_it() -> None:
    for name, info in KINDS.items():
        assert name.isidentifier()
        assert info.title
        assert info.title[-1] != "."
        assert info.field


def test_every_kind_that_the_code_names_is_known() -> None:
    texts = {
        node.value
        for path in ROOM.glob("*.py")
        if not path.name.startswith("kind")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    made = {
        "not_" + name for name in ("bool", "int", "float", "text", "bytes", "time", "list", "tensor", "image")
    }
    made |= {"image_width", "image_height"}  # by the name of what they are about
    assert KINDS.keys() <= texts | made
    in_anomalies = _first_arguments()
    assert in_anomalies
    assert in_anomalies <= KINDS.keys()


def _first_arguments() -> set[str]:
    """Texts that are the kind of an Anomaly, or of Subject.anomaly."""
    out = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                if name in ("Anomaly", "anomaly") and isinstance(node.args[0].value, str):
                    out.add(node.args[0].value)
    return out

"""Metrics that `evaluate` knows by name, so that a spec can be checked without loading what computes them.

A test holds these equal to the table in `fiat.evaluate`, which this room can't import.
"""

CLASSIFICATION = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "f1_micro",
    "mcc",
    "log_loss",
    "brier",
    "roc_auc",
    "average_precision",
    "top_2",
    "top_3",
    "top_5",
    "top_10",
)
REGRESSION = ("mae", "mse", "rmse", "mape", "r2", "explained_variance", "median_ae", "max_error")
METRICS = (*CLASSIFICATION, *REGRESSION)

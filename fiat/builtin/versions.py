"""Versions of our own step kinds, kept apart so that a plan needs none of their imports.

Raise a version when the results of that kind change; every fingerprint of the kind changes with it.
"""

STEP_VERSIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "data": ("2", ("duckdb", "pyarrow", "pillow")),
    "check": ("1", ("duckdb", "numpy", "polars", "pyarrow", "scikit-learn", "scipy")),
    "transform": ("1", ("numpy", "onnx", "onnxruntime", "pyarrow")),
    "run": ("1", ()),
    "call": ("1", ()),
    "export": ("1", ()),
    "evaluate": ("1", ("scikit-learn", "numpy", "onnxruntime")),
    "gates": ("1", ("numpy",)),
    "package": ("2", ("jinja2", "numpy", "onnxruntime", "polars", "pyarrow")),
    "probe": ("1", ("httptools", "msgspec", "numpy", "onnxruntime", "uvicorn", "uvloop")),
    "deploy": ("1", ()),
}
EXPORT_PACKAGES = ("onnx", "onnxscript", "onnxruntime", "skl2onnx", "torch", "scikit-learn")

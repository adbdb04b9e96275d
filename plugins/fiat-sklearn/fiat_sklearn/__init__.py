"""Exporter `sklearn`: scikit-learn estimators become ONNX graphs. Start with `exporter.py`."""

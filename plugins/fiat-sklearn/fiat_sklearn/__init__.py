"""Exporter `sklearn`: a fitted scikit-learn estimator becomes an ONNX graph. Start with `exporter.py`."""

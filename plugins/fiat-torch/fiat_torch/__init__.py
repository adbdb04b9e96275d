"""Exporter `torch`: PyTorch modules become ONNX graphs. Start with `exporter.py`."""

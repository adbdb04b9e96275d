"""Craft: transforms fitted on the train split and compiled to one ONNX graph that takes the raw columns.

May import `fiat.data` and what lies below it. Start in `model.py` (values and the shape of an operation), `catalog.py`
(the word of the spec to its operation) and `fit.py` (train split in, graph out).
"""

"""Format `tflite` for Fiat's target `edge`: an ONNX graph of perceptrons or convolutions as a file for LiteRT.

`format.py` is the plugin, `graph.py` walks the ONNX graph, `operators_*.py` say each operator in LiteRT's words,
`model_file.py` writes the FlatBuffer. Start with `format.py`. May import Fiat's ports and errors only.
"""

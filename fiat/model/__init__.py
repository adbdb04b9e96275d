"""Craft: framework models to one ONNX graph; checks, signature, package, card.

Knows nothing of specs, plans or stores. May import `evaluate`, `data`, `ports`, `errors`. Start with `signature.py` for
what a model takes, `precheck.py` for what is refused, `package.py` for what is shipped.
"""

"""Craft: the prediction server: Open Inference Protocol, batching, swaps, split of traffic, prediction log, rollout.

Knows nothing of specs, plans and stores: a folder with a release says what is served (`release.py`, `place.py`), counts
say how it goes (`counts.py`). May import `model`, `evaluate`, `profile`, `data`, `ports`, `errors`; what runs within the
server's process imports NumPy, onnxruntime, msgspec and uvicorn only, so that it starts in a moment.
"""

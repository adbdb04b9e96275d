"""What Fiat will do: steps, their fingerprints, why they run. Pure; imports `spec` and `errors`. Start with `model.py`."""

"""What happened: runs, step results, verdicts, releases. Pure; imports `plan`, `spec`, `errors`. Start with `model.py`."""

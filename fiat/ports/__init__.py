"""What a plugin may be: one file a port.

Each is a Protocol of at most four methods with its frozen arguments and results. Imports only `run`, `plan`, `spec`
and `errors`. Start with `step.py`.
"""

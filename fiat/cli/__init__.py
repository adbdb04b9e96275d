"""The command line: one file a command; parse, call one verb, show, exit code.

Sees wiring, engine, run and errors. Start with `main.py`.
"""

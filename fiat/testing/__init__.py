"""Shipped for plugin authors: one conformance suite a port, and the fakes that pass it.

May import crafts, ports, `run`, `plan`, `spec` and `errors`. Start with the suite of your port.
"""

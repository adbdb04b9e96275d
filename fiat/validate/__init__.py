"""Craft: what must hold of data (schema and rules), and what does not (anomalies, each with its rows).

May import `fiat.profile`, `fiat.data` and what lies below them. Start in `model.py` (the values), `schema.py` (what a
column may be) and `check.py` (find the anomalies of a dataset).
"""

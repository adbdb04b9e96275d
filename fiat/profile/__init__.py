"""Craft: describe data by numbers that can be merged, kept and compared; measure drift between two descriptions.

May import `fiat.data` and what lies below it. Start in `model.py` (what is kept of a column) and `measure.py` (one
streaming pass over rows).
"""

"""Craft: metrics, slices, confidence intervals, comparison with a baseline, gates. Knows arrays and frozen values only.

May import `data` and what is below it; nothing of specs, plans, runs or stores. Start with `catalog.py` (which metrics
there are), then `measure.py` (numbers with intervals) and `gates.py` (what refuses a model).
"""

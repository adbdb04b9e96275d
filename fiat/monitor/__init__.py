"""Craft: watch a served model: windows of its logged predictions against the reference profile, and labels that come late.

Knows nothing of specs, plans and stores. May import `model`, `evaluate`, `profile`, `data`, `ports`, `errors`.
"""

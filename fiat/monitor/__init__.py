"""Craft: watch a served model: windows of its logged predictions against the reference profile, and labels that come late.

Knows nothing of specs, plans and stores. May import `model`, `evaluate`, `profile`, `data`, `ports`, `errors`. Start in
`model.py` (what is found), `comparison.py` (a window against a reference) and `alarms.py` (what follows). What reads the log
(`watch.py`, `labelled.py`) runs in a child (`ask.py`, `child.py`), so that long-lived processes load nothing large.
"""

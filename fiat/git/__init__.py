"""Craft: git at arm's length. A bare mirror of our own, trees read from its objects, work trees laid out without `.git`.

Knows nothing of specs, plans, stores. Start with `mirror.py`.
"""

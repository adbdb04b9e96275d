"""Craft: read files of many formats as a stream of rows, split them, write and read back the dataset format.

May import `fiat.errors` and nothing else of Fiat. Start with `read.py` (files in), `write.py` (dataset out) and
`dataset.py` (what user code sees as `data`).
"""

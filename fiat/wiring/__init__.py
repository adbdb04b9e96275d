"""Where concrete meets core: the one place that reads the environment and loads entry points.

Start with `desk.py`: everything that a command on a spec needs.
"""

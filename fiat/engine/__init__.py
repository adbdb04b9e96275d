"""The only loop: walk a plan through the compute port, judge, remember.

Sees ports and store, never plugins, Ray or web frameworks. Start with `apply.py`; where a gate's refusal becomes a
verdict is `verdict.py`.
"""

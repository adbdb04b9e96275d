"""Fiat's deploy target `ray-serve`: the prediction server as replicas of Ray Serve. Start in `target.py`.

`target.py` runs in the command line and never imports Ray; `control.py` is a program of its own that talks to Serve;
`replica.py` runs in Serve's replicas. They meet in a folder that all of them see.
"""

"""Our own plugins, `<port>_<name>.py`, registered by entry point like anybody's.

May import crafts, ports, `run`, `plan`, `spec` and `errors`; never `store`, `engine` or `testing`. Beside the plugins stand
the programs that run jobs (`supervisor.py`, `child.py`, `ray_host.py`) and what a terminal shows (`view_*.py`).
"""

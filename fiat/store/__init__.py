"""What is remembered: the only SQL, and the content-addressed artifacts. Gives `run` objects, never rows.

May import `run`, `plan`, `spec`, `ports` and `errors`; never `builtin`, `testing`, `engine` or a craft. Start
with `store.py`; the table that holds a verdict is `runs` in `schema.py`, those of the runner are in
`queue_schema.py`; the layout of the cache is told in `artifacts.py`.
"""

"""What the user wrote: YAML text to a frozen `Spec`, with the place of every key.

Pure apart from reading the spec's own files. Imports only `errors`. Start with `model.py` (the language) and
`load.py` (the way in).
"""

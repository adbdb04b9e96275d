"""Fiat: one YAML spec in a git repo, from data to a gated, packaged, deployed model.

User code needs one name from here: `fiat.log`. Everything else is found by room; start at
`fiat/cli` for the commands or `fiat/engine` for the loop.
"""

from fiat.journal import log

__all__ = ["log"]

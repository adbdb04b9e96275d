"""Columns of a table as inputs of the transform graph: how they are read stands in `fiat.data.raw`, once for all."""

from fiat.data.raw import RawColumn, as_floats, as_texts, column_of, raw_columns, raw_feed

__all__ = ["RawColumn", "as_floats", "as_texts", "column_of", "raw_columns", "raw_feed"]

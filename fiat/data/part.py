"""Which part of each batch one of several workers takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One of the workers that share each batch.

    Attributes:
        rank: its number, from 0.
        size: how many workers there are.
    """

    rank: int = 0
    size: int = 1

    def of(self, n_rows: int) -> slice:
        """Its rows of a batch of `n_rows`; the workers' numbers of rows differ by one at most.

        Where there are fewer rows than workers some are given the same one, so that each has one and all stay in step.
        """
        start = self.rank * n_rows // self.size
        stop = (self.rank + 1) * n_rows // self.size
        return slice(start, max(stop, min(start + 1, n_rows)))


WHOLE = Part()

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

    def of(self, n_rows: int, batch_size: int) -> slice:
        """Its rows of a batch; the workers' numbers of rows differ by one at most.

        A last batch that is no more than one's part of a full one goes to each of them whole: the mean over the workers
        is that over its rows then. Where there are fewer rows than workers all the same, some are given the same one,
        so that each has one and all stay in step.

        Args:
            n_rows: how many the batch has.
            batch_size: how many a full one has.
        """
        if n_rows <= batch_size // self.size:
            return slice(0, n_rows)
        start = self.rank * n_rows // self.size
        stop = (self.rank + 1) * n_rows // self.size
        return slice(start, max(stop, min(start + 1, n_rows)))


WHOLE = Part()

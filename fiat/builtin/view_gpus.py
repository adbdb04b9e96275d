"""What `fiat gpus` shows: each GPU with who has what of it, and who waits, in order."""

from dataclasses import dataclass

from fiat.builtin.view_sheet import Cell, Sheet, Table, Tone
from fiat.builtin.view_text import count, seconds, size

_GPU_HEADS = ("gpu", "name", "memory", "load", "share", "run", "step", "since")
_WISH_HEADS = ("waits", "for", "run", "step", "priority", "since")
_BUSY_RATIO = 0.5
_IDLE_RATIO = 0.05  # what a driver itself keeps of the memory is far less


@dataclass(frozen=True)
class GpuShare:
    """What one step has.

    Attributes:
        run: id of the run.
        step: of it.
        share: of this GPU, above 0; 1 is the whole of it.
        seconds: for how long.
        pid: process that has it.
    """

    run: str
    step: str
    share: float
    seconds: float
    pid: int


@dataclass(frozen=True)
class GpuRow:
    """One GPU.

    Attributes:
        gpu: its number, or what names it where no driver knows it.
        key: what names it for good.
        name: of the product; empty where no driver knows it.
        memory_used_bytes: by all processes, also those that are not Fiat's.
        memory_bytes: in all; 0 when unknown.
        load_ratio: part of the last moments in which it computed, 0 to 1; None when unknown.
        held: who has how much of it, longest first.
    """

    gpu: str
    key: str
    name: str = ""
    memory_used_bytes: int = 0
    memory_bytes: int = 0
    load_ratio: float | None = None
    held: tuple[GpuShare, ...] = ()


@dataclass(frozen=True)
class GpuWish:
    """Who waits.

    Attributes:
        run: id of the run.
        step: of it.
        count: how many GPUs it asks for.
        share: of each.
        priority: higher ones come first.
        seconds: for how long.
        pid: process that waits.
    """

    run: str
    step: str
    count: int
    share: float
    priority: int
    seconds: float
    pid: int


@dataclass(frozen=True)
class GpuSight:
    """All of it at one moment.

    Attributes:
        gpus: those of this machine, in order, and those that the ledger knows beside them.
        waiting: who waits, first one first.
        fault: why the driver says nothing, with the next step; empty when it does.
    """

    gpus: tuple[GpuRow, ...]
    waiting: tuple[GpuWish, ...]
    fault: str = ""


def gpus_sheet(sight: GpuSight) -> Sheet:
    """A row for each GPU and each further step on it; below it a row for each that waits."""
    blocks: list[Table | tuple[Cell, ...]] = []
    if sight.fault:
        blocks.append((Cell(sight.fault, "doubt"),))
    if sight.gpus:
        gpus = tuple(row for gpu in sight.gpus for row in _gpu_rows(gpu))
        blocks.append(Table(_GPU_HEADS, gpus, frozenset({2, 3, 4, 7})))
    if sight.waiting:
        wishes = tuple(_wish_row(place, wish) for place, wish in enumerate(sight.waiting, 1))
        blocks.append(Table(_WISH_HEADS, wishes, frozenset({0, 4, 5})))
    elif not any(gpu.held for gpu in sight.gpus):
        blocks.append((Cell("no step of this user has a GPU or waits for one", "quiet"),))
    return Sheet(tuple(blocks))


def _gpu_rows(gpu: GpuRow) -> list[tuple[Cell, ...]]:
    about = (Cell(gpu.gpu, "strong"), Cell(gpu.name), Cell(_memory(gpu)), _load(gpu))
    if not gpu.held:
        taken = gpu.memory_used_bytes > _IDLE_RATIO * gpu.memory_bytes > 0
        return [(*about, Cell("others", "doubt") if taken else Cell("free", "good"))]
    blank = (Cell(""), Cell(""), Cell(""), Cell(""))
    return [
        (*(blank if place else about), *_share_cells(share.share, share.run, share.step), _age(share.seconds))
        for place, share in enumerate(gpu.held)
    ]


def _share_cells(share: float, run: str, step: str) -> tuple[Cell, Cell, Cell]:
    return Cell(f"{share:.0%}".replace("%", " %")), Cell(run, "quiet"), Cell(step)


def _wish_row(place: int, wish: GpuWish) -> tuple[Cell, ...]:
    asked = count(wish.count, "GPU")
    if wish.share < 1:
        asked = f"{wish.share:.3g} GPU" if wish.count == 1 else f"{wish.share:.3g} of each of {asked}"
    cells = (Cell(str(place)), Cell(asked), Cell(wish.run, "quiet"), Cell(wish.step))
    return (*cells, Cell(str(wish.priority)), _age(wish.seconds))


def _memory(gpu: GpuRow) -> str:
    return f"{size(gpu.memory_used_bytes)} of {size(gpu.memory_bytes)}" if gpu.memory_bytes else ""


def _load(gpu: GpuRow) -> Cell:
    if gpu.load_ratio is None:
        return Cell("")
    idle: Tone = "doubt" if gpu.held and gpu.load_ratio < _BUSY_RATIO else ""
    return Cell(f"{gpu.load_ratio:.0%}".replace("%", " %"), idle)


def _age(value: float) -> Cell:
    return Cell(seconds(value), "quiet")

"""Random numbers of a child: the same each time, and with `deterministic` also whatever else can differ."""

import importlib.abc
import importlib.machinery
import os
import random
import sys
from collections.abc import Callable, MutableMapping, Sequence
from types import ModuleType
from typing import Any

_SEEDED = ("numpy", "torch")
# Source: cuBLAS documentation, results reproducibility; oneMKL developer guide, reproducibility conditions.
_FIXED = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "MKL_CBWR": "AUTO", "MKL_DYNAMIC": "FALSE"}


def fix_libraries(env: MutableMapping[str, str] = os.environ) -> None:
    """Variables that make native libraries give the same results each time; set before any of these is loaded."""
    for name, value in _FIXED.items():
        env.setdefault(name, value)


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed Python, NumPy and torch (on all devices); those that are imported later are seeded then.

    It may be called again: the numbers begin anew.

    Args:
        seed: any whole number.
        deterministic: torch takes only operations that give the same bits each time, and says which can't.
    """
    random.seed(seed)

    def prepare(name: str) -> None:
        module: Any = sys.modules[name]
        if name == "numpy":
            module.random.seed(seed % 2**32)
        else:
            module.manual_seed(seed)
            if deterministic:
                _fix_torch(module)

    for name in _SEEDED:
        if name in sys.modules:
            prepare(name)
    sys.meta_path[:] = [
        _LateFinder(prepare),
        *(finder for finder in sys.meta_path if not isinstance(finder, _LateFinder)),
    ]


def _fix_torch(torch: Any) -> None:
    """Source: PyTorch documentation, notes on reproducibility."""
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


class _LateFinder(importlib.abc.MetaPathFinder):
    """Finds modules as always, and has something done to some of them right after they are loaded.

    Many libraries look for torch without loading it: whoever only looks changes nothing.
    """

    def __init__(self, then: Callable[[str], None]) -> None:
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = self._found(fullname, path, target) if fullname in _SEEDED else None
        if spec is not None and spec.loader is not None:
            load, then = spec.loader.exec_module, self._then

            def load_and_prepare(module: ModuleType) -> None:
                load(module)
                then(fullname)

            spec.loader.exec_module = load_and_prepare  # type: ignore[method-assign]  # of this one loader object
        return spec

    def _found(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        return next((spec for spec in found if spec is not None), None)

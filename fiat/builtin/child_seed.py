"""Random numbers of a child: the same each time, and with `deterministic` also whatever else can differ."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import sys
from collections.abc import Callable, MutableMapping, Sequence
from types import ModuleType
from typing import Any

_SEEDED = ("numpy", "torch")
# Source: cuBLAS documentation, results reproducibility; oneMKL developer guide, conditional numerical reproducibility.
_FIXED = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "MKL_CBWR": "AUTO"}


def fix_libraries(env: MutableMapping[str, str] = os.environ) -> None:
    """Variables that make native libraries give the same results each time; set before any of these is loaded."""
    for name, value in _FIXED.items():
        env.setdefault(name, value)


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Seed Python, NumPy and torch (on all devices); those that are imported later are seeded then.

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
    late = [name for name in _SEEDED if name not in sys.modules]
    if late:
        sys.meta_path.insert(0, _LateFinder(late, prepare))


def _fix_torch(torch: Any) -> None:
    """Source: PyTorch documentation, notes on reproducibility."""
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


class _LateFinder(importlib.abc.MetaPathFinder):
    """Finds modules as always, and has something done to some of them right after they are loaded."""

    def __init__(self, names: list[str], then: Callable[[str], None]) -> None:
        self._names = names
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._names:
            return None
        self._names.remove(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load, then = spec.loader.exec_module, self._then

            def load_and_prepare(module: ModuleType) -> None:
                load(module)
                then(fullname)

            spec.loader.exec_module = load_and_prepare  # type: ignore[method-assign]  # of this one loader object
        return spec

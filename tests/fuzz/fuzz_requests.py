"""Coverage-guided fuzzing of the request decoder: `make fuzz SECONDS=600`. A crash or a foreign exception ends it.

Whatever bytes a client sends, reading them gives a request that fits the model or a BadRequest, soon and in bounded memory.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["fiat.serving"]):
    from tests.fuzz.request_targets import SEEDS, try_case

MEMORY_MB = 1024
UNIT_SECONDS = 5


def main(arguments: list[str]) -> None:
    """Fuzz with libFuzzer's own arguments; the kept cases are the first corpus."""
    corpus = Path(tempfile.mkdtemp(prefix="fiat-fuzz-")) / "corpus"
    shutil.copytree(SEEDS, corpus)
    limits = [f"-timeout={UNIT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", "-max_len=4096"]
    atheris.Setup([arguments[0], *limits, *arguments[1:], str(corpus)], try_case_only)
    atheris.Fuzz()


def try_case_only(content: bytes) -> None:
    """One case; libFuzzer takes no answer."""
    try_case(content)


if __name__ == "__main__":
    main(sys.argv)

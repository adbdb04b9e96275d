"""Coverage-guided fuzzing of the spec loader: `make fuzz SECONDS=600`. A crash or a foreign exception ends it.

Whatever bytes a repository holds, loading them gives a spec or a SpecError, soon and in bounded memory.
"""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fiat.spec", "yaml"]):
    from fiat.errors import SpecError
    from fiat.spec.load import load_spec

SEEDS = Path(__file__).parents[2] / "specs"
MEMORY_MB = 1024
UNIT_SECONDS = 5


def main(arguments: list[str]) -> None:
    """Fuzz with libFuzzer's own arguments; the examples are the first corpus."""
    root = Path(tempfile.mkdtemp(prefix="fiat-fuzz-"))
    (root / ".git").mkdir()
    corpus = root / "corpus"
    corpus.mkdir()
    for number, path in enumerate(sorted(SEEDS.rglob("*.yaml"))):
        (corpus / f"{number}.yaml").write_bytes(path.read_bytes())
    spec = root / "spec.yaml"

    def load_once(content: bytes) -> None:
        spec.write_bytes(content)
        with suppress(SpecError):
            load_spec(spec, root=root, builtins={"commit": "", "ref": ""})

    limits = [f"-timeout={UNIT_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", "-max_len=4096"]
    atheris.Setup([arguments[0], *limits, *arguments[1:], str(corpus)], load_once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)

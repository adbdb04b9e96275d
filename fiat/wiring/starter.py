"""A small working spec for `fiat init`: data, code, gates."""

import random
from pathlib import Path

from fiat.errors import SpecError

SEED = 7
ROWS = 600
SPECIES = {"birch": (5.1, 3.4, 1.5), "maple": (5.9, 2.8, 4.2), "willow": (6.6, 3.0, 5.5)}

IGNORE = """\
.fiat/
models/
fiat-report-*.html
__pycache__/
"""

SPEC = """\
fiat: 1
name: leaves
params: {seed: 7, trees: 50}

data:
  leaves:
    source: {path: "${dir}/leaves.csv"}
    label: species
    split: {train: 8, eval: 1, test: 1, key: id}

train:
  call: train:train
  with: {trees: "${params.trees}"}

evaluate:
  metrics: [accuracy, f1_macro, log_loss]
  slices: [species]

baseline: {from: main, if_missing: pass}

gates:
  - {metric: accuracy, min: 0.85}
  - {metric: accuracy, against: baseline, max_drop: 0.02}
  - {parity: {max_abs: 1e-4}}

deploy:
  shelf: {to: directory, path: models}
"""

CODE = '''\
"""Train a random forest on measured leaves."""

from sklearn.ensemble import RandomForestClassifier


def train(data, run, trees):
    """Give the trained model; Fiat exports, judges and packages it."""
    model = RandomForestClassifier(n_estimators=trees, random_state=run.seed)
    model.fit(data.train.features, data.train.labels)
    run.log(train_accuracy=model.score(data.train.features, data.train.labels))
    return model
'''


def write_starter(folder: Path) -> tuple[Path, ...]:
    """Write `spec.yaml`, `train.py` and `leaves.csv` into a folder.

    Raises:
        SpecError: one of the files exists; nothing is written then.
    """
    files = {"spec.yaml": SPEC, "train.py": CODE, "leaves.csv": _leaves()}
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise SpecError(
            f"{', '.join(there)} is there already", hint="choose an empty folder: fiat init FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".gitignore").exists():
        files[".gitignore"] = IGNORE
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in files)


def _leaves() -> str:
    """Made-up measurements of three kinds of leaves, the same at every call."""
    draw = random.Random(SEED)  # noqa: S311 - numbers for an example, no secrets
    lines = ["id,length_cm,width_cm,stem_cm,species"]
    for index in range(ROWS):
        species = draw.choice(sorted(SPECIES))
        length, width, stem = (draw.gauss(mean, 0.35) for mean in SPECIES[species])
        lines.append(f"{index},{length:.2f},{width:.2f},{stem:.2f},{species}")
    return "\n".join(lines) + "\n"

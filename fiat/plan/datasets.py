"""Which dataset a step means, and whether it can have the rows that are asked for. Pure."""

from fiat.errors import SpecError, Where
from fiat.plan.model import Ref
from fiat.spec.model import Spec


def training_data(spec: Spec) -> Ref:
    """The dataset that the model is exported for and judged by.

    Raises:
        SpecError: there are several and the spec names none.
    """
    named = (spec.evaluate.data if spec.evaluate else None) or (spec.train.data if spec.train else None)
    if named:
        return named_dataset(named)
    if len(spec.data) == 1:
        return Ref(f"data.{next(iter(spec.data))}", "dataset")
    raise SpecError(
        "several datasets: which one is the model judged by?"
        if spec.data
        else "there is no dataset to train on",
        hint=f"set evaluate.data to one of {', '.join(spec.data)}" if spec.data else "add a `data:` section",
        where=Where("spec", key="evaluate.data" if spec.data else "data"),
    )


def require_rows(spec: Spec, wanted: str, dataset: Ref) -> None:
    """Say before anything runs that a split which is judged by can have no rows."""
    name = dataset.step.removeprefix("data.")
    data = spec.data.get(name) if dataset.step.startswith("data.") else None
    if data is None:
        return
    split = data.split
    by_shares = split is not None and split.train is not None
    shares = (
        {"train": 1.0} if split is None else {"train": split.train, "eval": split.eval, "test": split.test}
    )
    if (split is None or by_shares) and not shares.get(wanted):
        raise SpecError(
            f"the model is judged by the {wanted} split, and data.{name} gives it no rows",
            hint=f"add a share, such as split: {{train: 8, {'test' if wanted == 'train' else wanted}: 2}}",
            where=Where("spec", key=f"data.{name}.split" if split else f"data.{name}"),
        )


def named_dataset(name: str) -> Ref:
    """The dataset of a name under `data`, or of `<step>.<output>`."""
    step, dot, output = name.removeprefix("data.").partition(".")
    return Ref(step, output) if dot else Ref(f"data.{step}", "dataset")


def role_of(ref: Ref) -> str:
    """What an input is called where it is read: `data.<name>`, or `<step>.<output>`."""
    return ref.step if ref.step.startswith("data.") else f"{ref.step}.{ref.output}"


def all_data(spec: Spec) -> list[Ref]:
    """Every dataset of the spec, in its order."""
    return [Ref(f"data.{name}", "dataset") for name in spec.data]

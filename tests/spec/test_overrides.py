from collections.abc import Callable

import pytest

from fiat.spec.load import LoadedSpec

Load = Callable[..., LoadedSpec]
Complain = Callable[..., list[str]]

SPEC = """\
fiat: 1
name: x
params: {lr: 1e-3, opt: {name: adam, betas: [0.9, 0.99]}}
data:
  d:
    source: {url: "https://example.org/a.csv", sha256: "%s"}
baseline: {from: main, if_missing: error}
train:
  call: m:f
  with: {lr: "${params.lr}"}
evaluate: {metrics: [accuracy]}
gates:
  - {metric: accuracy, min: 0.5}
""" % ("a" * 64)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("params.lr=0.01", ("params", "lr"), 0.01),
        ("params.lr=1e-2", ("params", "lr"), 0.01),
        ("params.lr=on", ("params", "lr"), "on"),
        ("params.opt.name=sgd", ("params", "opt", "name"), "sgd"),
        ("params.opt.betas=[1,2]", ("params", "opt", "betas"), [1, 2]),
        ("params.opt.betas.1=0.5", ("params", "opt", "betas"), [0.9, 0.5]),
        ("params.opt={a: {b: null}}", ("params", "opt"), {"a": {"b": None}}),
        ("+params.new=x", ("params", "new"), "x"),
        ("++params.lr=3", ("params", "lr"), 3),
        ("++params.deep.er=3", ("params", "deep"), {"er": 3}),
        ("params.lr='a, b'", ("params", "lr"), "a, b"),
        ("gates[0].min=0.9", ("gates", 0, "min"), 0.9),
        ("gates.0.severity=warn", ("gates", 0, "severity"), "warn"),
        ("export.opset=18", ("export",), {"opset": 18}),
        ("train.timeout=2h", ("train", "timeout"), "2h"),
        ("params.lr=${params.opt.name}", ("train", "with", "lr"), "adam"),
    ],
)
def test_an_override_changes_its_key_and_the_type_is_kept(
    load: Load, override: str, path: tuple[str | int, ...], value: object
) -> None:
    loaded = load(SPEC, [override])
    found: object = loaded.config
    for part in path:
        found = found[part]  # type: ignore[index]  # JSON values have no narrower type here
    assert found == value
    assert type(found) is type(value)
    assert loaded.overrides == (override,)


def test_a_deleted_key_is_gone(load: Load) -> None:
    assert "gates" not in load(SPEC, ["~gates"]).config
    assert load(SPEC, ["~params.opt"]).spec.params == {"lr": 0.001}


def test_overrides_apply_in_their_order(load: Load) -> None:
    assert load(SPEC, ["+params.a=1", "params.a=2"]).spec.params["a"] == 2


def test_another_kind_of_source_takes_the_place_of_the_first(load: Load) -> None:
    loaded = load(SPEC, ["data.d.source.path=../elsewhere/d.csv"])
    assert loaded.config["data"] == {"d": {"source": {"path": "../elsewhere/d.csv"}}}


def test_another_kind_of_baseline_takes_the_place_of_the_first(load: Load) -> None:
    loaded = load(SPEC, ["baseline.alias=champion"])
    assert loaded.config["baseline"] == {"alias": "champion", "if_missing": "error"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("params.lrr=1", "params.lrr: `params` has no `lrr` (did you mean `lr`?)"),
        ("params.zzz=1", "params.zzz: `params` has no `zzz` (to add it: +params.zzz=1)"),
        ("data.e.label=y", "data.e: `data` has no `e` (to add it: +data.e.label=y)"),
        ("trian.retries=1", "trian: unknown key `trian` (did you mean `train`?)"),
        ("+params.lr=1", "params.lr: `params.lr` is there already (without `+` it is changed: params.lr=1)"),
        ("params.lr.x=1", "params.lr.x: `params.lr` is a single value and has no keys"),
        ("gates[3].min=1", "gates[3]: `gates` has 1 items, counted from 0"),
        ("~params.x", "params.x: `params` has no `x`"),
        ("params.lr=1,2", "expected one value, found several to sweep over (use `tune`)"),
        ("params.lr=range(1,3)", "expected one value, found several to sweep over (use `tune`)"),
        ("params.lr=99999999999999999999", "the number does not fit in 64 bits"),
        ("hydra.run.dir=x", "settings of Hydra can't be changed"),
        ("hydra/launcher=x", "settings of Hydra can't be changed"),
        ("+params.x={_target_: os.system}", "params.x._target_: the key `_target_` is not allowed anywhere"),
        ("params.lr=${oc.env:HOME}", ("params.lr: resolvers such as ${oc.env:...} are not allowed (the environment "
                                     "comes in through `env.vars` and `env.secrets` only)")),
    ],
)  # fmt: skip
def test_a_wrong_override_is_told_with_what_was_typed(
    complain: Complain, override: str, message: str
) -> None:
    shown = override.replace("[3]", "[3]")
    expected = f"<override> {shown}: {message}"
    assert complain(SPEC, [override])[0] == expected


@pytest.mark.parametrize("override", ["nothing", "=1", "a b=1", "params.lr=[1", "params.lr=a=b"])
def test_what_is_no_override_is_told(complain: Complain, override: str) -> None:
    assert complain(SPEC, [override])[0].startswith(f"<override> {override}: ")


def test_every_wrong_override_is_told(complain: Complain) -> None:
    assert len(complain(SPEC, ["a=1,2", "b", "params.x=1", "x=["])) == 4


def test_control_characters_are_refused_and_escaped(complain: Complain) -> None:
    (message,) = complain(SPEC, ["params.lr=a\x1b[31m"])
    assert message.isprintable()
    assert "control and direction characters" in message


def test_overrides_are_limited_in_number_length_and_depth(complain: Complain) -> None:
    assert "at most 100" in complain(SPEC, ["params.lr=1"] * 101)[0]
    assert "at most 4096" in complain(SPEC, ["params.lr=" + "x" * 5000])[0]
    assert complain(SPEC, ["params.lr=" + "[" * 150 + "]" * 150])

"""Specs that attack: each is loaded in a process of its own, with limits on time and memory, and a canary secret."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

CANARY = "canary-5d1f0a77-secret"
CPU_S = 1.0
RSS_MB = 100.0

# Runs in the child: imports first, then measures what one load costs, and watches every import that it causes.
CHILD = """
import json, sys, time
from pathlib import Path
from fiat.errors import SpecError
from fiat.spec.load import load_spec, spec_file, find_root
if sys.argv[2] == "warm":
    import fiat.spec.overrides, fiat.spec.hydra_compose
    fiat.spec.hydra_compose.ConfigStore.instance()
asked = []
class Watch:
    def find_spec(self, name, path=None, target=None):
        asked.append(name)
        return None
sys.meta_path.insert(0, Watch())
cpu = time.process_time()
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
errors, config = [], None
try:
    path = spec_file(sys.argv[1])
    loaded = load_spec(path, root=Path("."), overrides=sys.argv[3:], builtins={"commit": "c", "ref": "r"})
    config = loaded.config
except SpecError as error:
    errors = [str(each) for each in getattr(error, "errors", [error])]
used = peak()
print(json.dumps({"errors": errors, "config": config, "asked": asked, "cpu_s": time.process_time() - cpu,
                  "grown_mb": (used - before) / 1024}))
"""


@dataclass(frozen=True)
class Answer:
    """What the child said."""

    errors: list[str]
    config: Mapping[str, object] | None
    asked: list[str]
    cpu_s: float
    grown_mb: float
    output: str


def attack(
    folder: Path, content: str | bytes | None, overrides: Sequence[str] = (), path: str = "spec.yaml"
) -> Answer:
    """Load a hostile spec in a child and check what holds for all: limits, no canary, no crash."""
    if content is not None:
        (folder / "spec.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    environment = {**os.environ, "FIAT_CANARY": CANARY, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    warm = "warm" if overrides or (content is not None and b"defaults" in _bytes(content)) else "cold"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, path, warm, *overrides],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert CANARY not in done.stdout + done.stderr
    found = _read(done.stdout)
    assert found.cpu_s < CPU_S
    assert found.grown_mb < RSS_MB
    return found


def refused(
    folder: Path, content: str | bytes | None, overrides: Sequence[str] = (), path: str = "spec.yaml"
) -> str:
    """The errors of a hostile spec, all in one text; it must have some, and short ones."""
    answer = attack(folder, content, overrides, path)
    assert answer.config is None
    assert answer.errors
    assert all(len(error) < 1000 for error in answer.errors)
    return "\n".join(answer.errors)


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _read(text: str) -> Answer:
    return Answer(**json.loads(text), output=text)


HEAD = "fiat: 1\nname: x\nsteps: {s: {run: echo}}\n"


# Test 14: what a spec's path may be.


def test_a_spec_that_is_a_symlink_to_a_system_file_tells_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").symlink_to("/etc/passwd")
    message = refused(tmp_path, None)
    assert "spec.yaml in spec.yaml is a symlink" in message
    assert "root:" not in message


def test_a_spec_behind_a_symlinked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "specs").symlink_to("/etc")
    message = refused(tmp_path, None, path="specs/passwd")
    assert "specs in specs/passwd is a symlink" in message
    assert "root:" not in message


def test_a_spec_outside_the_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text("secret_key_of_others: 1\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    message = refused(inner, None, path="../outside.yaml")
    assert "outside the checkout" in message
    assert "secret_key_of_others" not in message


def test_a_spec_in_a_submodule_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".git").write_text("gitdir: ../.git/modules/sub\n")
    (tmp_path / "sub" / "spec.yaml").write_text(HEAD)
    assert "another repository" in refused(tmp_path, None, path="sub/spec.yaml")


def test_a_submodule_that_is_not_checked_out_is_a_folder_without_a_spec(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert "the folder sub has no spec.yaml" in refused(tmp_path, None, path="sub")


def test_a_spec_of_two_megabytes_is_refused(tmp_path: Path) -> None:
    assert "spec.yaml: the file has 2,000,000 bytes" in refused(tmp_path, b"#" * 2_000_000)


@pytest.mark.parametrize("path", ["a\rb.yaml", "a\u202egnp.yaml", "a\x1b]0;x\x07.yaml", "a\nb.yaml"])
def test_a_path_with_control_or_direction_characters_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / path).write_text(HEAD)
    message = refused(tmp_path, None, path=path)
    assert "control or direction characters" in message
    assert message.isprintable()


def test_a_path_in_other_capitals_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(HEAD)
    assert "SPEC.yaml" in refused(tmp_path, None, path="SPEC.yaml")


# Test 17: YAML.

_DEEP = 100_000
_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 8)
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("flow lists", "a: " + "[" * _DEEP + "]" * _DEEP),
        ("open flow lists", "[" * 200_000),
        ("open flow mappings", "{" * 200_000),
        ("nested flow mappings", "{a: " * 60_000),
        ("block lists", "- " * _DEEP),
        ("block keys", "? " * _DEEP),
        ("block mappings", "".join(" " * level + "a:\n" for level in range(650))),
        ("aliases", _BOMB),
        ("million digits", "a: " + "9" * 1_000_000),
        ("as many digits as fit", HEAD + "params: {a: " + "9" * 250_000 + "}"),
        ("merge keys", HEAD + "params:\n  <<: {a: 1}\n"),
        ("duplicate keys", HEAD + "name: y\n"),
        ("python object", HEAD + "params: {a: !!python/object/apply:os.system [touch owned]}\n"),
        ("python name", HEAD + "params: {a: !!python/name:os.system }\n"),
        ("tabs", "fiat: 1\n\tname: x\n"),
        ("NUL", b"fiat: 1\nname: x\x00\n"),
        ("escaped NUL", HEAD + 'params: {a: "\\x00"}\n'),
        ("UTF-16", "fiat: 1\n".encode("utf-16")),
        ("broken UTF-8", b"fiat: 1\nname: \xc3\x28\n"),
        ("direction override", HEAD + "params: {a: '\u202e'}\n"),
        ("many documents", "---\n" * 50_000),
        ("many nodes", "a: [" + "1," * 100_000 + "]"),
        ("directives", "%TAG ! tag:x,2000:\n" * 5_000 + "---\na: 1\n"),
        ("nothing", ""),
        ("a word", "yes"),
    ],
)  # fmt: skip
def test_a_hostile_yaml_file_is_refused_with_its_place(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    assert refused(tmp_path, content).startswith("spec.yaml"), name
    assert not (tmp_path / "owned").exists()


def test_sexagesimal_numbers_are_text(tmp_path: Path) -> None:
    sixties = ":".join(["59"] * 60_000)
    answer = attack(tmp_path, HEAD + "params: {a: 1:30:00, b: '" + sixties + "'}\n")
    assert answer.config is not None
    assert answer.config["params"] == {"a": "1:30:00", "b": sixties}


# Test 18: interpolation.


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:FIAT_CANARY}",
        "${oc.env:FIAT_CANARY,default}",
        "${oc.decode:${oc.env:FIAT_CANARY}}",
        "${env:FIAT_CANARY}",
        "${oc.create:{a: 1}}",
        "${oc.select:params}",
        "${hydra:runtime.cwd}",
        "${eval:1+1}",
        "x${ oc.env : FIAT_CANARY }y",
        "${${params.b}}",
        "\\\\${oc.env:FIAT_CANARY}",
        "${.b}",
        "${oc.env:FIAT_CANARY",
    ],
)
def test_a_resolver_is_refused_before_anything_is_resolved(tmp_path: Path, value: str) -> None:
    quoted = value.replace("'", "''")
    assert "spec.yaml:4:13: params.a: " in refused(tmp_path, HEAD + f"params: {{a: '{quoted}', b: oc.env}}\n")
    assert refused(tmp_path, HEAD + "params: {a: 1, b: oc.env}\n", [f"params.a='{value}'"])


def test_a_resolver_is_refused_in_a_defaults_file_and_in_a_key_it_would_choose(tmp_path: Path) -> None:
    (tmp_path / "common.yaml").write_text("# @package _global_\nparams: {a: '${oc.env:FIAT_CANARY}'}\n")
    assert "common.yaml:2:13" in refused(tmp_path, "defaults: [common, _self_]\n" + HEAD)
    chosen = "defaults: [train: '${oc.env:FIAT_CANARY}']\n" + HEAD
    assert "references are not allowed in `defaults`" in refused(tmp_path, chosen)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("itself", "{a: '${params.a}'}"),
        ("two", "{a: '${params.b}', b: '${params.a}'}"),
        ("whole", "{a: {b: '${params}'}}"),
        ("text doubles", "{a0: xxxxxxxxxx, " + ", ".join(
            f"a{n}: '${{params.a{n - 1}}}${{params.a{n - 1}}}'" for n in range(1, 31)) + "}"),
        ("lists double", "{a0: [x], " + ", ".join(
            f"a{n}: ['${{params.a{n - 1}}}', '${{params.a{n - 1}}}']" for n in range(1, 31)) + "}"),
        ("long chain", "{" + ", ".join(f"a{n}: '${{params.a{n + 1}}}'" for n in range(5000)) + ", a5000: 1}"),
    ],
)  # fmt: skip
def test_circles_and_bombs_of_references_are_refused(tmp_path: Path, name: str, params: str) -> None:
    assert "spec.yaml:4:" in refused(tmp_path, HEAD + f"params: {params}\n"), name


# Test 19: what a spec names is never imported or called.


@pytest.mark.parametrize("target", ["os.system", "logging.os.system", "canary_module.run"])
def test_a_target_is_refused_anywhere_and_imports_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "canary_module.py").write_text("open('owned', 'w').close()\n")
    inner = f"{{_target_: {target}, _args_: ['touch owned']}}"
    places = [
        f"params: {inner}\n",
        f"params: {{a: [{{b: {inner}}}]}}\n",
        f"train: {inner}\n",
        f"_target_: {target}\n",
        f"evaluate: {{metrics: [{inner}]}}\n",
    ]
    for place in places:
        assert "the key `_target_` is not allowed anywhere" in refused(tmp_path, HEAD + place)
    override = [f"+params.a={{_target_: {target}}}"]
    assert "the key `_target_` is not allowed anywhere" in refused(tmp_path, HEAD, override)
    assert not (tmp_path / "owned").exists()


def test_a_module_that_a_spec_names_is_never_looked_for(tmp_path: Path) -> None:
    (tmp_path / "canary_module.py").write_text("open('owned', 'w').close()\n")
    (tmp_path / "common.yaml").write_text("# @package _global_\nparams: {a: 1}\n")
    text = (
        "defaults: [common, _self_]\nfiat: 1\nname: x\ndata: {d: {source: {path: x}}}\n"
        "train: {call: 'canary_module:run'}\nevaluate: {metrics: [{call: 'canary_module:cost'}]}\n"
        "gates: [{call: 'canary_module:check'}]\n"
    )
    answer = attack(tmp_path, text, ["params.a=2"])
    assert answer.errors == []
    assert [name for name in answer.asked if "canary" in name] == []
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["hydra.run.dir=/tmp/x"],
        ["+hydra.searchpath=['file:///etc']"],
        ["hydra/launcher=joblib"],
        ["params={_target_: os.system}"],
        ["--config-dir=/etc"],
        ["params.a=" + "[" * 150 + "]" * 150],
        ["params.a=" + "(" * 3000],
        ["+params" + ".a" * 1800 + "=1"],
        ["params.a=" + "a," * 1500],
        ["x=" + "9" * 4000],
        ["=".join("ab" * 500)],
        [f"params.a{n}=1,2" for n in range(150)],
    ],
    ids=lambda overrides: overrides[0][:12],
)
def test_hostile_overrides_are_refused(tmp_path: Path, overrides: list[str]) -> None:
    assert refused(tmp_path, HEAD, overrides)


def test_hydra_settings_in_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text("# @package hydra\nsearchpath: ['file:///etc']\n")
    assert "settings of Hydra" in refused(tmp_path, "defaults: [evil]\n" + HEAD)
    direct = HEAD + "hydra: {searchpath: ['file:///etc']}\n"
    assert "unknown key `hydra`" in refused(tmp_path, direct)
    assert "settings of Hydra" in refused(tmp_path, "defaults: [_self_]\n" + direct)

"""Which specs a commit touches, on real repositories and their mirrors."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fiat.engine.footprint import Touched, affected
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository

CALL = """\
fiat: 1
name: {name}
data:
  rows: {{source: {{path: "{data}"}}, label: y, split: {{train: 8, test: 2}}}}
train: {{call: "train:train"}}
evaluate: {{metrics: [accuracy]}}
"""
COMMAND = """\
fiat: 1
name: {name}
data:
  rows: {{source: {{path: data/rows.csv}}}}
steps:
  make: {{run: "python make.py {{data.rows}} {{out.made}}", out: {{made: file}}{code}}}
"""


@dataclass
class Project:
    """A repository with its mirror."""

    repository: Repository
    mirror: Mirror

    def commit(self, files: Mapping[str, str | bytes]) -> str:
        commit = self.repository.commit(files)
        self.mirror.fetch()
        return commit

    def touched(self, before: str, after: str, **options: object) -> dict[str, str]:
        """Names of the touched specs and why."""
        return {found.name: found.why for found in self.judge(before, after, **options) if found.touched}

    def judge(self, before: object, after: str, **options: object) -> tuple[Touched, ...]:
        specs = self.mirror.spec_files(after, ["**/spec.yaml"])
        return affected(self.mirror, after, before, specs, **options)  # type: ignore[arg-type]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    repository = Repository(tmp_path / "work")
    remote = Remote(f"file://{repository.folder}", protocols=frozenset({"file"}))
    return Project(repository, Mirror(tmp_path / "mirror", remote))


@pytest.fixture
def two(project: Project) -> tuple[Project, str]:
    """Two specs that share a module, each with a module and data of its own."""
    files: dict[str, str | bytes] = {"shared/__init__.py": "", "shared/nets.py": "from . import layers\n"}
    files["shared/layers.py"] = "SIZE = 1\n"
    for name in ("one", "two"):
        files[f"specs/{name}/spec.yaml"] = CALL.format(name=name, data="${dir}/rows.csv")
        files[f"specs/{name}/train.py"] = (
            "from shared.nets import net\nimport helper\n\ndef train(data): ...\n"
        )
        files[f"specs/{name}/helper.py"] = "import json\n"
        files[f"specs/{name}/rows.csv"] = "x,y\n1,2\n"
    return project, project.commit(files)


def test_a_change_outside_of_everything_touches_nothing(two: tuple[Project, str]) -> None:
    project, before = two
    after = project.commit({"README.md": "words", "specs/one/notes.txt": "words", "shared/other.py": "1"})
    judged = project.judge(before, after)
    assert [(each.name, each.touched) for each in judged] == [("one", False), ("two", False)]
    assert {each.why for each in judged} == {"nothing that it reads changed"}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("specs/one/spec.yaml", CALL.format(name="one", data="${dir}/rows.csv") + "params: {lr: 1}\n"),
        ("specs/one/train.py", "def train(data): ..."),
        ("specs/one/helper.py", "import os"),
        ("specs/one/rows.csv", "x,y\n"),
    ],
)
def test_its_own_file_touches_one_spec(two: tuple[Project, str], path: str, content: str) -> None:
    project, before = two
    assert project.touched(before, project.commit({path: content})) == {"one": f"{path} changed"}


def test_a_module_two_imports_away_touches_all_that_reach_it(two: tuple[Project, str]) -> None:
    project, before = two
    after = project.commit({"shared/layers.py": "SIZE = 2\n"})
    why = "shared/layers.py changed"
    assert project.touched(before, after) == {"one": why, "two": why}


def test_a_new_file_that_changes_what_an_import_means_touches(two: tuple[Project, str]) -> None:
    project, before = two
    after = project.commit({"specs/two/json.py": "loads = None\n"})
    assert project.touched(before, after) == {"two": "specs/two/json.py is new"}
    shadow = project.commit({"specs/one/shared/nets.py": ""})
    assert project.touched(after, shadow) == {"one": "specs/one/shared is new"}


def test_a_module_that_is_gone_touches(two: tuple[Project, str]) -> None:
    project, before = two
    (project.repository.folder / "specs/one/helper.py").unlink()
    assert project.touched(before, project.commit({})) == {"one": "specs/one/helper.py is gone"}


def test_going_back_and_forth_is_the_same_both_ways(two: tuple[Project, str]) -> None:
    project, before = two
    after = project.commit({"specs/one/json.py": ""})
    assert set(project.touched(before, after)) == set(project.touched(after, before)) == {"one"}


def test_a_new_spec_is_touched_and_one_without_an_earlier_commit_too(two: tuple[Project, str]) -> None:
    project, before = two
    after = project.commit({"specs/new/spec.yaml": CALL.format(name="new", data="d.csv")})
    assert project.touched(before, after) == {"new": "specs/new/spec.yaml is new"}
    assert all(each.touched for each in project.judge("", after))
    assert all(each.touched for each in project.judge("f" * 40, after))
    assert {each.why for each in project.judge("", after)} == {"there is no earlier commit to compare with"}


def test_each_spec_may_be_compared_with_a_commit_of_its_own(two: tuple[Project, str]) -> None:
    project, first = two
    second = project.commit({"specs/one/helper.py": "1"})
    third = project.commit({"specs/two/helper.py": "2"})
    befores = {"specs/one/spec.yaml": second, "specs/two/spec.yaml": first}
    assert [each.touched for each in project.judge(befores, third)] == [False, True]
    befores = {"specs/one/spec.yaml": first, "specs/two/spec.yaml": third}
    assert [each.touched for each in project.judge(befores, third)] == [True, False]
    assert [each.touched for each in project.judge({"specs/one/spec.yaml": second}, third)] == [False, True]


def test_a_command_without_code_reads_everything_but_data_and_targets(project: Project) -> None:
    spec = CALL.format(name="all", data="data/rows.csv")
    spec += (
        "steps: {make: {run: 'python make.py {data.rows}'}}\ndeploy: {shelf: {to: directory, path: models}}\n"
    )
    before = project.commit({"spec.yaml": spec, "make.py": "", "train.py": "", "data/rows.csv": "1"})
    assert project.touched(before, project.commit({"a/README.md": "x"})) == {"all": "a/README.md changed"}
    before = project.commit({})
    quiet = {"models/m.onnx": "x", "x.dvc": "x", ".venv/x.py": "x"}
    assert project.touched(before, project.commit(quiet)) == {}
    assert project.touched(before, project.commit({"data/rows.csv": "2"})) == {"all": "data/rows.csv changed"}


def test_patterns_of_code_are_those_of_a_working_tree(project: Project) -> None:
    spec = COMMAND.format(name="some", code=', code: ["src/**", "*.sh"]')
    before = project.commit({"specs/a/spec.yaml": spec, "src/a/b.py": "", "x.sh": "", "data/rows.csv": ""})
    assert project.touched(before, project.commit({"README.md": "x", "make.py": "x"})) == {}
    before = project.commit({})
    assert project.touched(before, project.commit({"src/a/b.py": "1"})) == {"some": "src/a/b.py changed"}
    before = project.commit({})
    assert project.touched(before, project.commit({"deep/x.sh": "1"})) == {"some": "deep/x.sh changed"}


def test_data_by_pattern_folder_and_dvc_file_touch(project: Project) -> None:
    spec = (
        "fiat: 1\nname: x\ndata:\n  a: {source: {glob: 'in/*.csv'}}\n  b: {source: {path: folder}}\n"
        "  c: {source: {dvc: big.dvc}}\n"
    )
    before = project.commit({"s/spec.yaml": spec, "in/a.csv": "", "folder/a/b": "", "big.dvc": ""})
    for path in ("in/b.csv", "folder/a/c", "big.dvc"):
        after = project.commit({path: "new"})
        assert project.touched(before, after) == {"x": f"{path} changed"}
        before = after
    assert project.touched(before, project.commit({"in/deep/c.csv": "", "bigger.dvc": ""})) == {}


def test_a_model_card_touches(project: Project) -> None:
    spec = CALL.format(name="carded", data="rows.csv") + "model: {card: CARD.md}\n"
    before = project.commit({"m/spec.yaml": spec, "m/train.py": "", "CARD.md": "1", "rows.csv": ""})
    assert project.touched(before, project.commit({"CARD.md": "2"})) == {"carded": "CARD.md changed"}


def test_data_behind_symlinks_touches_and_a_link_that_points_elsewhere_too(project: Project) -> None:
    folder = project.repository.folder
    project.repository.write({"store/v1/rows.csv": "1", "store/v2/rows.csv": "2", "store/v3/x/rows.csv": "3"})
    (folder / "now").symlink_to("store/v1")
    project.repository.write(
        {"m/spec.yaml": CALL.format(name="linked", data="now/rows.csv"), "m/train.py": ""}
    )
    before = project.commit({})
    options = {"cache": folder.parent / "cache"}
    after = project.commit({"store/v1/rows.csv": "new"})
    assert project.touched(before, after, **options) == {"linked": "store/v1/rows.csv changed"}
    (folder / "now").unlink()
    (folder / "now").symlink_to("store/v2")
    moved = project.commit({})
    assert project.touched(after, moved, **options) == {"linked": "now/rows.csv changed"}
    again = project.commit({"store/v1/rows.csv": "old"})
    assert project.touched(moved, again, **options) == {}
    last = project.commit({"store/v2/rows.csv": "x"})
    assert project.touched(again, last, **options) == {"linked": "store/v2/rows.csv changed"}


def test_a_module_behind_a_symlink_touches(project: Project) -> None:
    project.repository.write({"lib/helper.py": "1", "m/train.py": "import helper"})
    (project.repository.folder / "m/helper.py").symlink_to("../lib/helper.py")
    before = project.commit({"m/spec.yaml": CALL.format(name="linked", data="rows.csv")})
    after = project.commit({"lib/helper.py": "2"})
    assert project.touched(before, after) == {"linked": "m/helper.py changed"}


def test_what_earlier_runs_were_seen_to_read_touches(two: tuple[Project, str]) -> None:
    project, before = two
    seen = {"one": ["configs/a.json", "assets/"], "two": ["gone.txt"]}
    after = project.commit({"assets/deep/new.txt": "1"})
    assert project.touched(before, after, observed=seen.__getitem__) == {
        "one": "assets/ changed (the step read it)"
    }
    same_names = project.commit({"assets/deep/new.txt": "2", "assets/deep/more.txt": ""})
    assert project.touched(after, same_names, observed=seen.__getitem__) == {}
    made = project.commit({"configs/a.json": "{}", "gone.txt": ""})
    assert set(project.touched(same_names, made, observed=seen.__getitem__)) == {"one", "two"}


def test_paths_under_triggers_narrow_and_never_widen(two: tuple[Project, str]) -> None:
    project, _ = two
    spec = CALL.format(name="one", data="rows.csv") + "triggers: {push: {paths: ['specs/**']}}\n"
    before = project.commit({"specs/one/spec.yaml": spec})
    after = project.commit({"shared/layers.py": "SIZE = 3\n"})
    assert set(project.touched(before, after)) == {"one", "two"}
    judged = project.judge(before, after, narrowed_by="push")
    assert [(each.touched, each.why) for each in judged] == [
        (False, "no file under triggers.push.paths changed"),
        (True, "shared/layers.py changed"),
    ]
    assert judged[0].triggers == {"push": {"branches": [], "tags": [], "paths": ["specs/**"]}}
    assert set(project.touched(before, after, narrowed_by="pull_request")) == {"one", "two"}
    last = project.commit({"specs/one/notes.txt": ""})
    assert project.touched(after, last, narrowed_by="push") == {}


def test_a_pull_request_is_not_told_no_change_by_its_own_triggers(
    two: tuple[Project, str], tmp_path: Path
) -> None:
    project, _ = two
    spec = CALL.format(name="one", data="rows.csv") + "triggers: {pull_request: {paths: ['PATH/**']}}\n"
    base = project.commit({"specs/one/spec.yaml": spec.replace("PATH", "specs")})
    head = project.commit({"specs/one/spec.yaml": spec.replace("PATH", "nowhere"), "shared/layers.py": "1"})
    by = {"narrowed_by": "pull_request", "cache": tmp_path / "cache"}
    assert set(project.touched(base, head, **by)) == {"two"}
    for _ in range(2):
        judged = project.judge(base, head, triggers_at=base, **by)
        assert [each.touched for each in judged] == [True, True]
        assert judged[0].triggers["pull_request"] == {
            "branches": [],
            "paths": ["specs/**"],
            "forks": "approval",
        }
    new = project.commit({"new/spec.yaml": spec.replace("PATH", "nowhere").replace("one", "new")})
    assert set(project.touched(head, new, triggers_at=base, **by)) == {"new"}


def test_a_spec_that_does_not_load_has_its_folder(two: tuple[Project, str]) -> None:
    project, _ = two
    first = project.commit({"specs/one/spec.yaml": "fiat: 1\nname: [\n"})
    before = project.commit({"specs/one/helper.py": "1"})
    assert project.touched(first, before) == {"": "specs/one/helper.py changed"}
    after = project.commit({"specs/one/notes.txt": "x"})
    judged = project.judge(before, after)
    assert [(each.name, each.touched, each.why) for each in judged] == [
        ("", True, "specs/one/notes.txt changed"),
        ("two", False, "nothing that it reads changed"),
    ]


def test_a_file_that_defaults_choose_touches_and_the_others_do_not(project: Project) -> None:
    spec = "defaults: [_self_, {train: small}]\n" + CALL.format(name="chosen", data="rows.csv").replace(
        'train: {call: "train:train"}\n', ""
    )
    choice = '# @package _global_\ntrain: {call: "train:train", with: {n: 1}}\n'
    files = {"m/spec.yaml": spec, "m/train/small.yaml": choice, "m/train/big.yaml": choice, "m/train.py": ""}
    before = project.commit(files)
    after = project.commit({"m/train/big.yaml": choice.replace("1", "2")})
    assert project.touched(before, after) == {}
    last = project.commit({"m/train/small.yaml": choice.replace("1", "3")})
    assert project.touched(after, last) == {"chosen": "m/train/small.yaml changed"}


def test_a_strangers_commit_is_judged_by_the_specs_of_the_base(two: tuple[Project, str]) -> None:
    project, base = two
    theirs = project.commit(
        {"specs/one/spec.yaml": CALL.format(name="evil", data="other.csv"), "specs/one/rows.csv": "9"}
    )
    assert project.touched(base, theirs, specs_at=base) == {"one": "specs/one/rows.csv changed"}
    only_spec = project.commit({"specs/two/spec.yaml": CALL.format(name="evil", data="x")})
    assert project.touched(theirs, only_spec, specs_at=base) == {}


def test_footprints_are_remembered_and_found_anew_when_what_they_came_from_differs(
    two: tuple[Project, str], tmp_path: Path
) -> None:
    project, before = two
    cache = tmp_path / "cache"
    after = project.commit({"README.md": "1"})
    project.judge(before, after, cache=cache)
    (file,) = cache.iterdir()
    text = file.read_text()
    file.write_text(text.replace('"name":"one"', '"name":"remembered"'))
    assert [each.name for each in project.judge(before, after, cache=cache)] == ["remembered", "two"]
    last = project.commit({"specs/one/spec.yaml": CALL.format(name="third", data="${dir}/rows.csv")})
    assert project.touched(after, last, cache=cache) == {"third": "specs/one/spec.yaml changed"}
    assert [each.name for each in project.judge(before, after, cache=cache)] == ["remembered", "two"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda _: "",
        lambda _: "[]",
        lambda text: text.replace('"format":1', '"format":0'),
        lambda text: text.replace('"calls":["train:train"]', '"calls":7'),
        lambda text: json.dumps({**json.loads(text), "specs": {"specs/one/spec.yaml": [{"name": 1}]}}),
        lambda text: text.replace('"code":{', '"code":{"file x":3,'),
    ],
)
def test_a_damaged_memory_counts_as_none(two: tuple[Project, str], tmp_path: Path, damage: object) -> None:
    project, before = two
    cache = tmp_path / "cache"
    after = project.commit({"specs/one/helper.py": "1"})
    project.judge(before, after, cache=cache)
    (file,) = cache.iterdir()
    whole = file.read_text()
    changed = damage(whole)  # type: ignore[operator]
    assert changed != whole
    file.write_text(changed.replace('"name":"one"', '"name":"wrong"'))
    assert project.touched(before, after, cache=cache) == {"one": "specs/one/helper.py changed"}
    assert json.loads(file.read_text()) == json.loads(whole)


def test_a_memory_that_can_not_be_written_is_no_fault(two: tuple[Project, str], tmp_path: Path) -> None:
    project, before = two
    (tmp_path / "cache").write_text("a file where the folder would be")
    after = project.commit({"specs/one/helper.py": "1"})
    assert set(project.touched(before, after, cache=tmp_path / "cache")) == {"one"}

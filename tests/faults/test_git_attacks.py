"""Repositories, names and servers that attack: no command of theirs runs, nothing is read or sent that should not be."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fiat.engine.footprint import affected
from fiat.engine.footprint_specs import load_specs_at
from fiat.errors import EnvironmentFault, FiatError, SpecError, SpecErrors, Stalled
from fiat.git.hardened import DEFAULT_PATH
from fiat.git.layout import lay_out
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository
from git_server import serving

MAIN = "refs/heads/main"
BUILTINS = {"commit": "c", "ref": "main"}
SPEC = "fiat: 1\nname: good\nsteps: {s: {run: echo}}\n"
TOKEN = "ghp_t0kenWithSecret"

# Runs in a child with a hostile environment and home: everything that the runner does with git.
CHILD = """
import sys
from pathlib import Path
from fiat.engine.footprint import affected
from fiat.engine.footprint_specs import load_specs_at
from fiat.errors import FiatError
from fiat.git.layout import lay_out
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
url, folder, path = sys.argv[1:4]
token = sys.stdin.read()
mirror = Mirror(Path(folder) / "mirror", Remote(url, token=token, protocols=frozenset({"http", "file"})), path=path)
try:
    for ref, commit in mirror.heads().items():
        mirror.fetch([ref], [commit])
    mirror.fetch()
    for ref, commit in mirror.heads().items():
        specs = mirror.spec_files(commit, ["**/spec.yaml"])
        load_specs_at(mirror, commit, specs, builtins={"commit": commit, "ref": ref})
        lay_out(mirror, commit, Path(folder) / "layouts" / commit)
        before = (mirror.about(commit).parents or (commit,))[0]
        affected(mirror, commit, before, specs, cache=Path(folder) / "cache")
        mirror.on_branch(commit, ref), mirror.merge_base(commit, before)
    mirror.tidy(keep=())
    print("done")
except FiatError as error:
    print("refused:", error)
"""


@dataclass
class Victim:
    """A runner's place: what it does with a repository is watched for a canary."""

    folder: Path

    @property
    def canary(self) -> Path:
        """A file that exists when a command of the attacker ran."""
        return self.folder / "canary"

    @property
    def command(self) -> str:
        return f"touch {self.canary}"

    def use(
        self, url: str, *, env: Mapping[str, str] | None = None, path: str = DEFAULT_PATH, token: str = ""
    ) -> str:
        """Do everything that the runner does with git; gives what the process printed."""
        done = subprocess.run(
            [sys.executable, "-c", CHILD, url, str(self.folder / "runner"), path],
            input=token,
            env={**os.environ, "HOME": str(self.folder / "home"), **(env or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert list(self.folder.rglob("canary")) == []
        assert not (token and token in done.stdout + done.stderr)
        return done.stdout


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    (tmp_path / "home").mkdir()
    return Victim(tmp_path)


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream")
    repository.commit({"spec.yaml": SPEC})
    return repository


def mirror_of(upstream: Repository, folder: Path) -> Mirror:
    mirror = Mirror(folder, Remote(f"file://{upstream.folder}", protocols=frozenset({"file"})))
    mirror.fetch()
    return mirror


def by_hand(upstream: Repository, folder: Path) -> Mirror:
    """A mirror of objects that no git would fetch."""
    folder.mkdir()
    shutil.copytree(upstream.folder / ".git", folder / "git")
    return Mirror(folder, Remote("https://git.example/a"))


# Test 14: what a spec in a commit may be.


def _refused(mirror: Mirror, commit: str) -> str:
    """What is said of a commit whose spec attacks; it is said by listing it, or by loading it."""
    try:
        specs = mirror.spec_files(commit, ["**/spec.yaml"])
    except SpecErrors as errors:
        return str(errors)
    loaded = load_specs_at(mirror, commit, specs, builtins=BUILTINS)
    errors = [found for found in loaded.values() if isinstance(found, SpecErrors)]
    assert errors, "nothing was refused"
    return "\n".join(map(str, errors))


def _entries(upstream: Repository) -> dict[str, Callable[[], str]]:
    blob, link = upstream.blob(SPEC.encode()), upstream.blob(b"/etc/passwd")
    commit = upstream.git("rev-parse", "HEAD")
    large = upstream.blob(b"# " + b"x" * (2 << 20))
    spec = upstream.tree({"spec.yaml": ("100644", blob)})
    inside = upstream.blob(b"../../../etc")

    def tree(entries: Mapping[str | bytes, tuple[str, str]]) -> Callable[[], str]:
        return lambda: upstream.tree(entries)

    return {
        "spec.yaml is a symlink": tree({"spec.yaml": ("120000", link)}),
        "spec.yaml is another repository": tree({"spec.yaml": ("160000", commit)}),
        "spec.yaml: the file has 2,097,154 bytes": tree({"spec.yaml": ("100644", large)}),
        "leads outside its folder": tree({"..": ("40000", spec)}),
        "Spec.YAML is spelled with other capitals": tree({"Spec.YAML": ("100644", blob)}),
        "'a\\rb/spec.yaml' holds control": tree({"a\rb": ("40000", spec)}),
        "'a\\u202eb/spec.yaml' holds control": tree({"a\u202eb": ("40000", spec)}),
        "'\\udcff/spec.yaml' holds control": tree({b"\xff": ("40000", spec)}),
        "some file system takes for .git": tree({".GIT": ("40000", spec)}),
        "spec.yaml: there is no file": tree({"spec.yaml": ("120000", inside)}),
    }


@pytest.mark.parametrize(
    "words",
    [
        "spec.yaml is a symlink",
        "spec.yaml is another repository",
        "spec.yaml: the file has 2,097,154 bytes",
        "leads outside its folder",
        "Spec.YAML is spelled with other capitals",
        "'a\\rb/spec.yaml' holds control",
        "'a\\u202eb/spec.yaml' holds control",
        "'\\udcff/spec.yaml' holds control",
        "some file system takes for .git",
    ],
)
def test_a_spec_that_is_no_plain_small_file_is_refused_by_name(
    upstream: Repository, tmp_path: Path, words: str
) -> None:
    commit = upstream.commit_tree(_entries(upstream)[words]())
    said = _refused(by_hand(upstream, tmp_path / "mirror"), commit)
    assert words in said
    assert "root:" not in said
    assert said.isprintable()


def test_what_a_spec_brings_in_is_no_symlink_and_not_outside(upstream: Repository, tmp_path: Path) -> None:
    upstream.write({"m/spec.yaml": "defaults: [_self_, {train: big}]\n" + SPEC.replace("good", "m")})
    (upstream.folder / "m/train").mkdir()
    (upstream.folder / "m/train/big.yaml").symlink_to("/etc/passwd")
    (upstream.folder / "n").mkdir()
    upstream.write({"n/spec.yaml": "defaults: [_self_, {train: passwd}]\n" + SPEC.replace("good", "n")})
    (upstream.folder / "n/train").symlink_to("/etc")
    upstream.write({"o/spec.yaml": "defaults: [_self_, ../../etc/passwd]\n" + SPEC.replace("good", "o")})
    commit = upstream.commit({})
    mirror = mirror_of(upstream, tmp_path / "mirror")
    paths = ["m/spec.yaml", "n/spec.yaml", "o/spec.yaml"]
    loaded = load_specs_at(mirror, commit, paths, builtins=BUILTINS)
    said = {path: str(found) for path, found in loaded.items()}
    assert "m/train/big.yaml is a symlink" in said["m/spec.yaml"]
    assert "there is no file train/passwd.yaml" in said["n/spec.yaml"]
    assert "not the name of a file" in said["o/spec.yaml"]
    assert "root:" not in "".join(said.values())


def test_one_hostile_file_is_named_and_touches_no_other(upstream: Repository, tmp_path: Path) -> None:
    (upstream.folder / "evil").mkdir()
    (upstream.folder / "evil/spec.yaml").symlink_to("/etc/passwd")
    commit = upstream.commit({})
    mirror = mirror_of(upstream, tmp_path / "mirror")
    with pytest.raises(SpecErrors) as caught:
        mirror.spec_files(commit, ["**/spec.yaml"])
    assert [str(error.where) for error in caught.value.errors] == ["evil/spec.yaml"]
    assert mirror.spec_files(commit, ["*.yaml"]) == ("spec.yaml",)


# Test 15: what a repository may hold.


def _submodule(upstream: Repository, victim: Victim, url: str) -> None:
    upstream.git("config", "--file", ".gitmodules", "submodule.x.path", "x")
    upstream.git("config", "--file", ".gitmodules", "submodule.x.url", url)
    upstream.git("config", "--file", ".gitmodules", "submodule.x.update", f"!{victim.command}")
    upstream.git("add", ".gitmodules")
    upstream.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},x")
    upstream.git("commit", "-q", "-m", "x")


@pytest.mark.parametrize(
    "url", ["-u./payload", "ext::sh -c {command}", "--upload-pack={command}", "./ok.git"]
)
def test_submodules_run_nothing(upstream: Repository, victim: Victim, url: str) -> None:
    _submodule(upstream, victim, url.format(command=victim.command.replace(" ", "% ")))
    said = victim.use(f"file://{upstream.folder}")
    assert said == "done\n" or "unsound" in said


def test_filters_hooks_and_drivers_of_a_repository_run_nothing(upstream: Repository, victim: Victim) -> None:
    hook = f"#!/bin/sh\n{victim.command}\n"
    names = ["post-checkout", "reference-transaction", "post-update", "pre-auto-gc", "fsmonitor-watchman"]
    for name in names:
        upstream.write({f".githooks/{name}": hook, f"hooks/{name}": hook})
        for folder in (".githooks", "hooks"):
            (upstream.folder / folder / name).chmod(0o755)
    attributes = "* filter=evil diff=evil merge=evil textconv=evil\n*.bin filter=lfs\n"
    settings = f'[filter "evil"]\n\tsmudge = {victim.command}\n\tprocess = {victim.command}\n'
    settings += (
        f"[core]\n\tfsmonitor = {victim.command}\n\thooksPath = .githooks\n\tpager = {victim.command}\n"
    )
    settings += f'[diff "evil"]\n\ttextconv = {victim.command}\n\tcommand = {victim.command}\n'
    files = {".gitattributes": attributes, ".gitconfig": settings, "config": settings, "a.bin": "x"}
    files |= {".lfsconfig": f"[lfs]\n\turl = ext::{victim.command}\n", "HEAD": "ref: refs/heads/main\n"}
    upstream.commit({**files, "objects/info/alternates": "/etc\n", "refs/heads/main": "0" * 40})
    assert victim.use(f"file://{upstream.folder}") == "done\n"


def test_a_bare_repository_in_a_commit_is_only_files(upstream: Repository, victim: Victim) -> None:
    bare = upstream.folder / "deep" / "bare"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    with (bare / "config").open("a") as file:
        file.write(f"[core]\n\tfsmonitor = {victim.command}\n[alias]\n\tstatus = !{victim.command}\n")
    (bare / "hooks/post-checkout").write_text(f"#!/bin/sh\n{victim.command}\n")
    (bare / "hooks/post-checkout").chmod(0o755)
    commit = upstream.commit({"deep/bare/refs/heads/x": "0" * 40})
    assert victim.use(f"file://{upstream.folder}") == "done\n"
    laid = victim.folder / "runner/layouts" / commit
    assert (laid / "deep/bare/config").is_file()


@pytest.mark.parametrize("where", ["layout", "mirror", "home"])
def test_settings_that_a_job_planted_run_nothing(upstream: Repository, victim: Victim, where: str) -> None:
    url = f"file://{upstream.folder}"
    victim.use(url)
    settings = f"[core]\n\tfsmonitor = {victim.command}\n\thooksPath = {victim.folder}/hooks\n\tpager = {victim.command}\n"
    settings += (
        f'[alias]\n\tfetch = !{victim.command}\n[url "ext::{victim.command} %"]\n\tinsteadOf = file://\n'
    )
    settings += f"[core]\n\tsshCommand = {victim.command}\n\talternateRefsCommand = {victim.command}\n"
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = victim.folder / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{victim.command}\n")
        hook.chmod(0o755)
    runner = victim.folder / "runner"
    if where == "layout":
        (layout,) = (runner / "layouts").iterdir()
        layout.chmod(0o755)
        subprocess.run(["git", "init", "-q", str(layout)], check=True)
        (layout / ".git/config").write_text(settings)
        subprocess.run(["git", "-C", str(layout), "status"], capture_output=True, check=False)
        victim.canary.unlink()  # the trap works: it catches whoever runs git there
    elif where == "mirror":
        shutil.copytree(victim.folder / "hooks", runner / "mirror/git/hooks")
        for place in ("home/.gitconfig", "home/.config/git/config"):
            (runner / "mirror" / place).parent.mkdir(parents=True, exist_ok=True)
            (runner / "mirror" / place).write_text(settings)
    else:
        for place in (".gitconfig", ".config/git/config"):
            (victim.folder / "home" / place).parent.mkdir(parents=True, exist_ok=True)
            (victim.folder / "home" / place).write_text(settings)
    upstream.commit({"new": "1"})
    assert victim.use(url) == "done\n"


@pytest.mark.parametrize(
    "branch",
    ["--upload-pack=x", "$(touch canary)", "-x", "`touch canary`", ";touch canary;#", "a'b\"c", "é/ü", "@"],
)
def test_branches_with_hostile_names_are_only_names(
    upstream: Repository, victim: Victim, branch: str
) -> None:
    ref = f"refs/heads/{branch}"
    upstream.git("update-ref", ref.replace(" ", "-"), upstream.commit({"x": branch}))
    assert victim.use(f"file://{upstream.folder}") == "done\n"
    mirror = mirror_of(upstream, victim.folder / "mirror")
    assert mirror.commit_of(ref.replace(" ", "-")) == upstream.git("rev-parse", MAIN)


def test_our_environment_reaches_no_git(upstream: Repository, victim: Victim, tmp_path: Path) -> None:
    command = victim.command
    hostile = {
        "GIT_SSH_COMMAND": command,
        "GIT_ASKPASS": "/bin/touch",
        "GIT_EXTERNAL_DIFF": command,
        "GIT_PAGER": command,
        "GIT_EDITOR": command,
        "GIT_PROXY_COMMAND": command,
        "GIT_CONFIG_GLOBAL": str(tmp_path / "settings"),
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={command}'",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": command,
        "GIT_DIR": str(tmp_path / "nowhere"),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "nowhere"),
        "GIT_TRACE": str(tmp_path / "trace"),
        "GIT_TEMPLATE_DIR": str(tmp_path / "template"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "FIAT_CANARY": "canary-secret",
        "LD_DEBUG_OUTPUT": str(tmp_path / "ld"),
    }
    (tmp_path / "settings").write_text(f"[core]\n\tfsmonitor = {command}\n")
    wrapper = _wrapper(tmp_path, "git", shutil.which("git") or "git")
    said = victim.use(f"file://{upstream.folder}", env=hostile, path=f"{wrapper.parent}:{DEFAULT_PATH}")
    assert said == "done\n"
    calls = _calls(tmp_path)
    assert len(calls) > 8
    for call in calls:
        passed_on = set(call["env"].values()) & (set(hostile.values()) - {"1", "core.fsmonitor"})
        assert passed_on == set()
        assert command not in str(call)
        assert call["env"]["GIT_CONFIG_GLOBAL"] == "/dev/null"
        assert call["env"]["GIT_TERMINAL_PROMPT"] == "0"
        known = {"PATH", "HOME", "LANG", "PWD", "SHLVL", "_", "LC_CTYPE"}
        assert not {name for name in call["env"] if not name.startswith("GIT_")} - known
    assert not (tmp_path / "trace").exists()


def _wrapper(folder: Path, name: str, real: str) -> Path:
    """A program of that name which writes down how it was called before it becomes the real one."""
    path = folder / "wrapped" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"#!{sys.executable} -S\nimport json, os, sys\n"
        f"with open({str(folder / 'calls')!r}, 'a') as file:\n"
        "    file.write(json.dumps({'argv': sys.argv, 'env': dict(os.environ)}) + '\\n')\n"
        f"os.execv({real!r}, [{real!r}, *sys.argv[1:]])\n"
    )
    path.chmod(0o755)
    return path


def _calls(folder: Path) -> list[dict[str, dict[str, str]]]:
    return [json.loads(line) for line in (folder / "calls").read_text().splitlines()]


# Test 16: where is fetched from, and what is shown there. The list of refused URLs is in tests/git/test_remote.py.


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "ext::sh -c touch% canary",
        "ext::touch%20canary",
        "ssh://-oProxyCommand=touch%20canary/x",
        "git@-oProxyCommand=touch canary:x",
        "git://git.example/x",
        "http://169.254.169.254/latest",
        "/etc",
        "--upload-pack=touch canary",
    ],
)
def test_other_ways_to_a_repository_are_refused_before_git_starts(victim: Victim, url: str) -> None:
    mirror = Mirror(victim.folder / "mirror", Remote(url), path=str(victim.folder / "no-git-here"))
    for talk in (mirror.heads, mirror.fetch):
        with pytest.raises(SpecError, match="git does not fetch from"):
            talk()
    assert not victim.canary.exists()


def test_git_itself_speaks_no_protocol_that_was_not_allowed(upstream: Repository, tmp_path: Path) -> None:
    class Bent(Remote):
        """A remote whose URL nobody checked."""

        @property
        def address(self) -> None:  # type: ignore[override]
            return None

        def config(self) -> Mapping[str, str]:
            return {}

    for number, url in enumerate((f"file://{upstream.folder}", str(upstream.folder), "ext::touch canary")):
        mirror = Mirror(tmp_path / f"mirror{number}", Bent(url))
        with pytest.raises(Stalled, match="is not spoken"):
            mirror.heads()
        with pytest.raises(Stalled, match="is not spoken"):
            mirror.fetch()


def test_a_server_that_redirects_is_not_followed_and_gets_the_token_nowhere_else(tmp_path: Path) -> None:
    with serving(tmp_path / "one") as front, serving(tmp_path / "two") as metadata:
        front.create("a")
        metadata.create("a")
        front.redirect = f"http://127.0.0.1:{metadata.port}"
        remote = Remote(front.url("a"), token=TOKEN, protocols=frozenset({"http"}))
        mirror = Mirror(tmp_path / "mirror", remote)
        for talk in (mirror.heads, mirror.fetch):
            with pytest.raises(Stalled, match="sends us elsewhere") as caught:
                talk()
            assert TOKEN not in str(caught.value)
        assert metadata.asked == []
        assert front.asked


def test_the_token_is_in_no_argument_file_or_error(victim: Victim, tmp_path: Path) -> None:
    with serving(tmp_path / "served") as server:
        server.create("a")
        work = Repository(tmp_path / "work")
        work.commit({"spec.yaml": SPEC})
        work.git("push", "-q", server.url("a"), "main")
        server.token = TOKEN
        trace = tmp_path / "trace"
        if shutil.which("strace") is None or _can_not_trace():
            reason = "strace is missing, or may not trace here"
            if os.environ.get("CI"):
                pytest.fail(f"{reason}; CI must see the arguments of git's own children")
            pytest.skip(reason)
        done = subprocess.run(
            [
                *("strace", "-qq", "-f", "-s", "100000", "-e", "trace=execve", "-o", str(trace)),
                *(sys.executable, "-c", CHILD, server.url("a"), str(tmp_path / "runner"), DEFAULT_PATH),
            ],
            input=TOKEN,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout == "done\n", done.stderr[-2000:]
        basic = server.asked[-1].headers["authorization"].removeprefix("Basic ")
        server.token = "another"
        assert "refuses our credential" in victim.use(server.url("a"), token=TOKEN)
    arguments = trace.read_text(errors="replace")
    assert arguments.count("git-remote-http") >= 1
    for secret in (TOKEN, basic):
        assert secret not in arguments
        found = subprocess.run(
            ["grep", "-rlF", secret, str(tmp_path / "runner")], capture_output=True, check=False
        )
        assert found.stdout == b""


def _can_not_trace() -> bool:
    return bool(
        subprocess.run(
            ["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False
        ).returncode
    )


def test_ssh_is_called_so_that_it_asks_nobody_and_reads_no_settings(victim: Victim, tmp_path: Path) -> None:
    wrapper = _wrapper(tmp_path, "ssh", "/bin/false")
    mirror = Mirror(
        tmp_path / "mirror",
        Remote("ssh://git@git.example:2222/acme/models.git", ssh_key="/keys/id", known_hosts="/keys/hosts"),
        path=f"{wrapper.parent}:{DEFAULT_PATH}",
    )
    with pytest.raises(FiatError):
        mirror.heads()
    (call,) = _calls(tmp_path)
    arguments = call["argv"][1:]
    assert arguments[:3] == ["-F", "none", "-T"]  # type: ignore[index]
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ProxyCommand=none",
        "UserKnownHostsFile=/keys/hosts",
    ):
        assert option in arguments
    assert arguments[-2] == "git@git.example"  # type: ignore[index]


# Test 11: a commit that is in the parent's repository but on none of its branches.


def test_a_strangers_commit_in_our_mirror_is_on_no_branch(upstream: Repository, tmp_path: Path) -> None:
    good = upstream.git("rev-parse", "HEAD")
    upstream.git("checkout", "-q", "--detach")
    imposter = upstream.commit({"spec.yaml": SPEC.replace("good", "evil")})
    upstream.git("update-ref", "refs/pull/1/head", imposter)
    upstream.git("checkout", "-q", "main")
    upstream.git("tag", "v1", imposter)
    mirror = mirror_of(upstream, tmp_path / "mirror")
    mirror.fetch(["refs/pull/1/head"], [imposter])
    assert mirror.has(imposter)
    assert mirror.is_ancestor(good, imposter)
    assert not mirror.on_branch(imposter, MAIN)
    assert mirror.on_branch(good, MAIN)
    assert not mirror.on_branch(good, "refs/heads/gone")
    upstream.git("merge", "-q", "--ff-only", imposter)
    assert not mirror.on_branch(imposter, MAIN)
    mirror.fetch()
    assert mirror.on_branch(imposter, MAIN)
    upstream.git("reset", "-q", "--hard", good)
    mirror.fetch()
    assert not mirror.on_branch(imposter, MAIN)


def test_replaced_and_grafted_history_of_a_remote_does_not_move_a_branch(
    upstream: Repository, tmp_path: Path
) -> None:
    good = upstream.commit({"a": "1"})
    other = upstream.commit_tree(upstream.tree({}), "refs/heads/other")
    upstream.git("replace", good, other)
    mirror = mirror_of(upstream, tmp_path / "mirror")
    (mirror.folder / "git/refs/replace").mkdir(parents=True)
    (mirror.folder / "git/refs/replace" / good).write_text(f"{other}\n")
    assert set(mirror.files(good)) == {"a", "spec.yaml"}
    assert not mirror.on_branch(other, MAIN)


def test_unsound_objects_are_refused_where_they_come_in(upstream: Repository, tmp_path: Path) -> None:
    blob = upstream.blob(b"1")
    twice = upstream.git(
        "hash-object",
        "-w",
        "--literally",
        "-t",
        "tree",
        "--stdin",
        given=2 * (b"100644 a\0" + bytes.fromhex(blob)),
    )
    upstream.commit_tree(twice, "refs/heads/twice")
    mirror = Mirror(tmp_path / "mirror", Remote(f"file://{upstream.folder}", protocols=frozenset({"file"})))
    with pytest.raises(Stalled, match="unsound"):
        mirror.fetch()
    assert mirror.fetch([MAIN]) == frozenset()


def test_a_commit_without_its_objects_lays_nothing_out(upstream: Repository, tmp_path: Path) -> None:
    commit = upstream.commit_tree(upstream.tree({"gone": ("100644", "e" * 40)}))
    mirror = by_hand(upstream, tmp_path / "mirror")
    with pytest.raises(EnvironmentFault, match="lacks the object"):
        lay_out(mirror, commit, tmp_path / "layouts" / "x")
    assert list((tmp_path / "layouts").iterdir()) == []
    assert affected(mirror, commit, "", ["spec.yaml"])[0].touched

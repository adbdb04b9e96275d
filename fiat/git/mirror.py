"""A bare mirror of our own of somebody else's repository: the only thing that git is ever asked about."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fiat.errors import EnvironmentFault
from fiat.git.hardened import DEFAULT_PATH, Said, Surroundings, run_git
from fiat.git.mirror_lock import sweep, writing
from fiat.git.objects import Blob, ObjectReader, open_objects, read_tree
from fiat.git.refs import check_oid, check_ref, read_advertised, refspecs
from fiat.git.remote import Remote
from fiat.git.told import failed

HEADS = "refs/heads/*"
TAGS = "refs/tags/*"
FETCH_TIMEOUT_S = 1800.0
TELL_TIMEOUT_S = 60.0
ADVERTISED_LIMIT_BYTES = 64 << 20


class Mirror:
    """Several threads and processes may use one mirror; each with an object of its own, or the same.

    Args:
        folder: the mirror's own; made at the first fetch.
        remote: where it is fetched from.
        path: where programs are found.
    """

    def __init__(self, folder: Path, remote: Remote, *, path: str = DEFAULT_PATH) -> None:
        self.folder = folder
        self.remote = remote
        self._path = path
        self._git_dir = folder / "git"
        self._home = folder / "home"

    # What the remote has.

    def heads(self, *, pulls: bool = True) -> Mapping[str, str]:
        """Branches, tags and heads of pull requests at the remote, ref to commit.

        Args:
            pulls: without them a remote with very many pull requests answers faster.

        Raises:
            Waiting: the remote does not answer, or not well.
            Stalled: it refuses us.
        """
        self._make_home()
        url = self._url()
        what = ["--", url] if pulls else ["--heads", "--tags", "--", url]
        said = run_git(
            ["ls-remote", "--quiet", *what],
            self._afar(),
            timeout_s=TELL_TIMEOUT_S,
            limit_bytes=ADVERTISED_LIMIT_BYTES,
        )
        if said.code:
            raise failed("ls-remote", said)
        return read_advertised(said.out)

    def fetch(
        self,
        refs: Iterable[str] = (HEADS, TAGS),
        commits: Iterable[str] = (),
        *,
        timeout_s: float = FETCH_TIMEOUT_S,
    ) -> frozenset[str]:
        """Bring refs and commits over. Refs under `refs/heads/*` that the remote has no more are gone here as well.

        Args:
            refs: full names, or `refs/heads/*` and `refs/tags/*`.
            commits: fetched by their own names, after the refs, when they are not there yet.
            timeout_s: for all of it.

        Returns:
            Those of both that the remote does not have or does not give.

        Raises:
            Waiting: the remote does not answer, or not well; or somebody else fetches all the time.
            Stalled: it refuses us, or what it sent is no sound repository.
        """
        wanted, missing = list(refs), set[str]()
        for commit in commits:
            check_oid(commit)
        self._make_home()
        with writing(self.folder / "lock", timeout_s=timeout_s) as lock:
            self._make_repository(lock)
            sweep(self._git_dir)
            if wanted:
                missing |= self._fetch_refs(wanted, lock, timeout_s)
            for commit in commits:
                if not self.has(commit):
                    spec = f"+{commit}:refs/fiat/commits/{commit}"
                    said = self._run_fetch([spec], lock, timeout_s)
                    if said.code:
                        if not _not_there(said):
                            raise failed("fetch", said)
                        missing.add(commit)
        return frozenset(missing)

    # What we have.

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        return self._look("cat-file", "-e", f"{check_oid(commit)}^{{commit}}").code == 0

    def commit_of(self, ref: str) -> str:
        """The commit that a ref of ours stands at since the last fetch; empty when there is no such ref."""
        said = self._look(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{check_ref(ref)}^{{commit}}"
        )
        return said.out.decode().strip() if said.code == 0 else ""

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether a commit is another one or lies behind it. False when one of the two is not here."""
        said = self._look("merge-base", "--is-ancestor", check_oid(commit), check_oid(of))
        return said.code == 0

    def on_branch(self, commit: str, ref: str) -> bool:
        """Whether a commit is reachable from a branch as it was last fetched.

        That a commit is *here* says nothing: whoever opens a pull request puts commits into its parent's repository.
        """
        head = self.commit_of(ref)
        return bool(head) and self.is_ancestor(commit, head)

    def merge_base(self, one: str, other: str) -> str:
        """The newest commit that lies behind both; empty when there is none."""
        said = self._look("merge-base", check_oid(one), check_oid(other))
        return said.out.decode().split("\n")[0] if said.code == 0 else ""

    def tree_of(self, commit: str) -> str:
        """Name of a commit's tree: the same for commits with the same files."""
        return (
            self._must("rev-parse", "--verify", "--end-of-options", f"{check_oid(commit)}^{{tree}}")
            .decode()
            .strip()
        )

    def files(self, commit: str) -> Mapping[str, Blob]:
        """Every file, symlink and submodule of a commit by its path. Paths are hostile text."""
        return read_tree(self._must("ls-tree", "-r", "-z", "--full-tree", check_oid(commit)))

    def changed(self, before: str, after: str) -> Mapping[str, str]:
        """Paths that differ between two commits, with `A` (added), `D` (gone), `M` (other content) or `T` (other kind)."""
        options = ("-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv", "--full-index")
        out = self._must("diff-tree", *options, check_oid(before), check_oid(after))
        words = out.split(b"\0")
        return {
            path.decode("utf-8", "surrogateescape"): head.rpartition(b" ")[2].decode()[:1]
            for head, path in zip(words[0::2], words[1::2], strict=False)
        }

    def objects(self) -> AbstractContextManager[ObjectReader]:
        """A reader of contents by object name."""
        return open_objects(self._here())

    def read(self, oid: str, limit_bytes: int) -> bytes:
        """One blob.

        Raises:
            TooLarge: it has more bytes.
        """
        with self.objects() as reader:
            return reader.read(oid, limit_bytes)

    # How git is run.

    def _fetch_refs(self, wanted: Sequence[str], lock: int, timeout_s: float) -> set[str]:
        said = self._run_fetch(refspecs(wanted), lock, timeout_s)
        if not said.code:
            return set()
        if not _not_there(said):
            raise failed("fetch", said)
        if len(wanted) == 1:
            return set(wanted)
        return {ref for each in wanted for ref in self._fetch_refs([each], lock, timeout_s)}

    def _run_fetch(self, specs: Sequence[str], lock: int, timeout_s: float) -> Said:
        options = ["--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
        given = "".join(f"{spec}\n" for spec in specs).encode()
        return run_git(
            ["fetch", "--quiet", "--force", "--prune", *options, "--stdin", "--", self._url()],
            self._afar(self._git_dir),
            given=given,
            timeout_s=timeout_s,
            keep=(lock,),
        )

    def _make_home(self) -> None:
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                f"can't make the mirror's folder {self.folder}: {error.strerror}"
            ) from None

    def _make_repository(self, lock: int) -> None:
        if (self._git_dir / "HEAD").exists() and (self._git_dir / "objects").is_dir():
            return
        arguments = ["init", "--quiet", "--bare", "--template=", "--initial-branch=none", str(self._git_dir)]
        said = run_git(arguments, Surroundings(self._home, path=self._path), keep=(lock,))
        if said.code:
            raise EnvironmentFault(f"can't make a mirror in {self.folder}: {said.error}")

    def _url(self) -> str:
        _ = self.remote.address
        return self.remote.url

    def _here(self) -> Surroundings:
        return Surroundings(self._home, self._git_dir, self._path)

    def _afar(self, git_dir: Path | None = None) -> Surroundings:
        remote = self.remote
        return Surroundings(
            self._home,
            git_dir,
            self._path,
            protocols=remote.protocols,
            config=remote.config(),
            variables=remote.variables(),
            secrets=remote.secrets,
        )

    def _look(self, *arguments: str) -> Said:
        return run_git(arguments, self._here())

    def _must(self, *arguments: str) -> bytes:
        said = self._look(*arguments)
        if said.code:
            raise EnvironmentFault(f"git {arguments[0]} failed in {self.folder}: {said.error or said.code}")
        return said.out


def _not_there(said: Said) -> bool:
    words = ("couldn't find remote ref", "not our ref", "unadvertised object", "no such remote ref")
    return any(word in said.error for word in words)

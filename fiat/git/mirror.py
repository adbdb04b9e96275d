"""A bare mirror of our own of somebody else's repository: the only thing that git is ever asked about."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from fiat.errors import EnvironmentFault, SpecErrors
from fiat.git.entries import Blob, CommitText, Edit, read_commit, read_edits, read_tree
from fiat.git.hardened import DEFAULT_PATH, Surroundings
from fiat.git.mirror_write import FETCH_TIMEOUT_S, HEADS, TAGS, fetch_into, tidy_up, told_heads
from fiat.git.objects import ObjectReader, Unreadable, open_objects
from fiat.git.place import Place
from fiat.git.refs import check_oid, check_ref, is_oid
from fiat.git.remote import Remote
from fiat.git.spec_files import MAX_BYTES, choose_specs, too_large

COMMIT_LIMIT_BYTES = 4 << 20


class Mirror:
    """Several threads and processes may use one mirror; each with an object of its own, or the same.

    Making one costs nothing and touches no disk. What reading finds damaged is made anew at the next fetch.

    Args:
        folder: the mirror's own; made at the first fetch.
        remote: where it is fetched from.
        path: where programs are found.
        token: gives a fresh token before each conversation with the remote, for those that last an hour; left out:
            the remote's own.
    """

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        *,
        path: str = DEFAULT_PATH,
        token: Callable[[], str] | None = None,
    ) -> None:
        self._place = Place(folder, remote, path, token)

    @property
    def folder(self) -> Path:
        """The mirror's own folder."""
        return self._place.folder

    @property
    def remote(self) -> Remote:
        """Where it is fetched from."""
        return self._place.remote

    def outside(self) -> Surroundings:
        """What git is given for a command that concerns no repository."""
        return self._place.here(inside=False)

    # What the remote has.

    def heads(self, *, pulls: bool = True) -> Mapping[str, str]:
        """Branches, tags and heads of pull requests at the remote, ref to commit.

        Args:
            pulls: without them a remote with very many pull requests answers faster.

        Raises:
            Waiting: the remote does not answer, or not well.
            Stalled: it refuses us.
            SpecError: its URL is refused, see `read_url`; so in `fetch`.
        """
        return told_heads(self._place, pulls=pulls)

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
            timeout_s: for each conversation, and for others that fetch at the same time.

        Returns:
            Those of both that the remote does not have or does not give.

        Raises:
            Waiting: the remote does not answer, or not well; or somebody else fetches all the time.
            Stalled: it refuses us, or what it sent is no sound repository.
        """
        return fetch_into(self._place, refs, commits, timeout_s=timeout_s)

    def tidy(self, keep: Collection[str], *, timeout_s: float = FETCH_TIMEOUT_S) -> None:
        """Forget fetched pull requests and single commits, and pack what is left. Once a day is often.

        Args:
            keep: commits that are still needed. What is forgotten stays for another two weeks.
            timeout_s: for the whole.
        """
        tidy_up(self._place, keep, timeout_s=timeout_s)

    # What we have.

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        return self._place.look("cat-file", "-e", f"{check_oid(commit)}^{{commit}}").code == 0

    def commit_of(self, ref: str) -> str:
        """The commit that a ref of ours stands at since the last fetch; empty when there is no such ref."""
        name = f"{check_ref(ref)}^{{commit}}"
        said = self._place.look("rev-parse", "--verify", "--quiet", "--end-of-options", name)
        return said.out.decode().strip() if said.code == 0 else ""

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether a commit is another one or lies behind it. False when one of the two is not here."""
        return self._place.look("merge-base", "--is-ancestor", check_oid(commit), check_oid(of)).code == 0

    def on_branch(self, commit: str, ref: str) -> bool:
        """Whether a commit is reachable from a branch as it was last fetched.

        That a commit is *here* says nothing: whoever opens a pull request puts commits into its parent's repository.
        """
        head = self.commit_of(ref)
        return bool(head) and self.is_ancestor(commit, head)

    def merge_base(self, one: str, other: str) -> str:
        """The newest commit that lies behind both; empty when there is none."""
        said = self._place.look("merge-base", check_oid(one), check_oid(other))
        return said.out.decode().split("\n")[0] if said.code == 0 else ""

    def about(self, commit: str) -> CommitText:
        """What a commit says of itself: parents, tree, author, message. All but the first two is hostile text."""
        with self.objects() as reader:
            return read_commit(reader.read(check_oid(commit), COMMIT_LIMIT_BYTES, kind="commit"))

    def files(self, commit: str) -> Mapping[str, Blob]:
        """Every file, symlink and submodule of a commit by its path. Paths are hostile text."""
        return read_tree(self._must(commit, "ls-tree", "-r", "-z", "--full-tree", check_oid(commit)))

    def changed(self, before: str, after: str) -> Mapping[str, Edit]:
        """Paths that differ between two commits, with their entries then and now."""
        found = self.changed_since([before], after)
        if before not in found:
            raise self._lacks(before)
        return found[before]

    def changed_since(self, earlier: Iterable[str], after: str) -> Mapping[str, Mapping[str, Edit]]:
        """The same for many earlier commits in one go. Those that are not here are left out."""
        wanted = list(earlier)
        trees = self._trees_of([*wanted, after])
        if after not in trees:
            raise self._lacks(after)
        now = trees[after]
        others = {trees[commit] for commit in wanted if commit in trees} - {now}
        options = ("-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv", "--stdin")
        given = "".join(f"{tree} {now}\n" for tree in others)
        edits = read_edits(self._must(after, "diff-tree", *options, given=given))
        return {commit: edits.get(trees[commit], {}) for commit in wanted if commit in trees}

    @contextmanager
    def objects(self) -> Iterator[ObjectReader]:
        """A reader of contents by object name, for one thread.

        Raises:
            Unreadable: within: an object is missing or damaged; the next fetch makes the mirror anew.
        """
        try:
            with open_objects(self._place.here()) as reader:
                yield reader
        except Unreadable:
            self._place.report_damage()
            raise

    def read(self, oid: str, limit_bytes: int) -> bytes:
        """One blob.

        Raises:
            TooLarge: it has more bytes.
        """
        with self.objects() as reader:
            return reader.read(oid, limit_bytes)

    def spec_files(self, commit: str, patterns: Sequence[str]) -> tuple[str, ...]:
        """Paths of the files that are read as specs, sorted; nothing of their content.

        Args:
            commit: full hash.
            patterns: such as `**/spec.yaml`.

        Raises:
            SpecErrors: see `choose_specs`; or one has more than 256 KiB.
        """
        files = self.files(commit)
        chosen = choose_specs(files, patterns)
        given = "".join(f"{files[path].oid}\n" for path in chosen)
        lines = self._must(commit, "cat-file", "--batch-check=%(objectsize)", given=given).split(b"\n")
        sizes = {path: int(line) for path, line in zip(chosen, lines, strict=False) if line.isdigit()}
        errors = [too_large(path, size) for path, size in sizes.items() if size > MAX_BYTES]
        if errors:
            raise SpecErrors(errors)
        return chosen

    def _trees_of(self, commits: Iterable[str]) -> dict[str, str]:
        names = [check_oid(commit) for commit in dict.fromkeys(commits)]
        given = "".join(f"{name}^{{tree}}\n" for name in names)
        said = self._place.look("cat-file", "--batch-check=%(objectname)", given=given)
        answers = said.out.decode("utf-8", "replace").split("\n")
        return {name: answer for name, answer in zip(names, answers, strict=False) if is_oid(answer)}

    def _must(self, commit: str, *arguments: str, given: str = "") -> bytes:
        said = self._place.look(*arguments, given=given)
        if not said.code:
            return said.out
        if self.has(commit):
            self._place.report_damage()
            reason = f"git {arguments[0]} failed in {self.folder}: {said.error or said.code}"
            raise Unreadable(reason, hint="the next fetch makes the mirror anew")
        raise self._lacks(commit)

    def _lacks(self, commit: str) -> EnvironmentFault:
        return EnvironmentFault(f"the mirror {self.folder} has no commit {commit}", hint="fetch it first")

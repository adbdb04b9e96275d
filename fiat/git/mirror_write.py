"""The writing side of a mirror, done by one at a time: fetch, make anew what is damaged, tidy up."""

import re
import shutil
from collections.abc import Collection, Iterable, Sequence

from fiat.errors import EnvironmentFault
from fiat.git.hardened import Said, run_git
from fiat.git.mirror_lock import sweep, writing
from fiat.git.place import Place
from fiat.git.refs import check_oid, read_advertised, refspecs
from fiat.git.told import failed

HEADS = "refs/heads/*"
TAGS = "refs/tags/*"
FETCH_TIMEOUT_S = 1800.0
TELL_TIMEOUT_S = 60.0
ADVERTISED_LIMIT_BYTES = 64 << 20
KEPT_UNREACHABLE = "14.days.ago"
_OURS = ("refs/fiat/commits/", "refs/pull/", "refs/merge-requests/")

# Source: messages of git 2.39 to 2.50 about its own repository; lines of the other side begin with "remote:".
_BROKEN = re.compile(
    r"is empty|is corrupt|bad object|did not send all necessary objects|not a git repository|unable to read tree|"
    r"bad config|unresolved delta|inflate: data|invalid sha1 pointer|reference broken|unable to resolve reference|"
    r"mismatched algorithms|"
    r"missing (?:blob|tree|commit)|Could not read [0-9a-f]{40}|repository .* corrupted"
)
_ABSENT = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|no such remote ref")


def told_heads(place: Place, *, pulls: bool) -> dict[str, str]:
    """What the remote advertises, see `Mirror.heads`."""
    what = () if pulls else ("--heads", "--tags")
    arguments = ["ls-remote", "--quiet", *what, "--", place.remote.url]
    around = place.afar(inside=False)
    said = run_git(arguments, around, timeout_s=TELL_TIMEOUT_S, limit_bytes=ADVERTISED_LIMIT_BYTES)
    if said.code:
        raise failed("ls-remote", said)
    return read_advertised(said.out)


def fetch_into(
    place: Place, refs: Iterable[str], commits: Iterable[str], *, timeout_s: float
) -> frozenset[str]:
    """Bring refs and commits over, see `Mirror.fetch`."""
    wanted = refspecs(refs)
    single = [check_oid(commit) for commit in commits]
    place.make_home()
    with writing(place.lock, timeout_s=timeout_s) as lock:
        write = _Writer(place, lock, timeout_s)
        write.prepare()
        missing = write.fetch_refs(wanted)
        return frozenset(missing | write.fetch_commits(single))


def tidy_up(place: Place, keep: Collection[str], *, timeout_s: float) -> None:
    """Forget pull requests and single commits that nobody needs, and pack what is left; see `Mirror.tidy`."""
    with writing(place.lock, timeout_s=timeout_s) as lock:
        if not (place.git_dir / "HEAD").exists():
            return
        sweep(place.git_dir)
        listed = place.look("for-each-ref", "--format=%(objectname) %(refname)", *_OURS)
        lines = [line.partition(" ") for line in listed.out.decode("utf-8", "replace").splitlines()]
        gone = [ref for commit, _, ref in lines if commit not in keep]
        given = "".join(f"delete {ref}\n" for ref in gone).encode()
        around = place.here()
        for arguments, text in (
            (["update-ref", "--stdin"], given),
            (["gc", "--quiet", "--force", f"--prune={KEPT_UNREACHABLE}"], b""),
        ):
            said = run_git(arguments, around, given=text, timeout_s=timeout_s, keep=(lock,))
            if said.code:
                raise EnvironmentFault(f"git {arguments[0]} failed in {place.folder}: {said.error}")


class _Writer:
    """Writes while the lock is held."""

    def __init__(self, place: Place, lock: int, timeout_s: float) -> None:
        self._place = place
        self._lock = lock
        self._timeout_s = timeout_s

    def prepare(self) -> None:
        """A repository that can be fetched into: made, swept, or made anew when it is damaged."""
        place = self._place
        if not (place.git_dir / "HEAD").exists() or place.damaged.exists():
            self._make_anew()
        sweep(place.git_dir)

    def fetch_refs(self, specs: Sequence[str]) -> set[str]:
        """Fetch refs by their refspecs; gives the names of those that are not there."""
        if not specs:
            return set()
        said = self._fetch(self._place, specs)
        if said.code and not _ABSENT.search(said.error) and _is_broken(said):
            self._make_anew()
            said = self._fetch(self._place, specs)
        if not said.code:
            return set()
        if not _ABSENT.search(said.error):
            raise failed("fetch", said)
        if len(specs) == 1:
            ref = specs[0].rpartition(":")[2]
            self._forget(ref)
            return {ref}
        return {ref for each in specs for ref in self.fetch_refs([each])}

    def fetch_commits(self, commits: Sequence[str]) -> set[str]:
        """Fetch commits by their own names; gives those that the remote does not give."""
        missing = set()
        for commit in commits:
            if self._place.look("cat-file", "-e", f"{commit}^{{commit}}").code:
                spec = f"+{commit}:refs/fiat/commits/{commit}"
                if self.fetch_refs([spec]):
                    missing.add(commit)
        return missing

    def _fetch(self, place: Place, specs: Sequence[str]) -> Said:
        options = ["--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"]
        return run_git(
            ["fetch", "--quiet", "--force", "--prune", *options, "--stdin", "--", place.remote.url],
            place.afar(),
            given="".join(f"{spec}\n" for spec in specs).encode(),
            timeout_s=self._timeout_s,
            keep=(self._lock,),
        )

    def _forget(self, ref: str) -> None:
        """A ref that the remote has no more must not be believed here."""
        if not ref.endswith("*"):
            run_git(["update-ref", "-d", "--", ref], self._place.here(), keep=(self._lock,))

    def _make_anew(self) -> None:
        """A new repository beside the old one, which is read until the new one takes its place."""
        place, fresh = self._place, self._place.renamed("git.new")
        old = place.renamed("git.old")
        for left in (fresh.git_dir, old.git_dir):
            shutil.rmtree(left, ignore_errors=True)
        heads = told_heads(place, pulls=False)
        algorithm = "sha256" if any(len(commit) == 64 for commit in heads.values()) else "sha1"
        options = [
            "--quiet",
            "--bare",
            "--template=",
            "--initial-branch=none",
            f"--object-format={algorithm}",
        ]
        around = place.here(inside=False)
        said = run_git(["init", *options, str(fresh.git_dir)], around, keep=(self._lock,))
        if said.code:
            raise EnvironmentFault(f"can't make a mirror in {place.folder}: {said.error}")
        if place.git_dir.exists():
            said = self._fetch(fresh, refspecs([HEADS, TAGS]))
            if said.code:
                raise failed("fetch", said)
            place.git_dir.rename(old.git_dir)
        fresh.git_dir.rename(place.git_dir)
        shutil.rmtree(old.git_dir, ignore_errors=True)
        place.damaged.unlink(missing_ok=True)


def _is_broken(said: Said) -> bool:
    """Whether a failed fetch found our own repository damaged."""
    return any(
        _BROKEN.search(line)
        for line in said.error.split("; ")
        if not line.startswith(("remote:", "fatal: remote"))
    )

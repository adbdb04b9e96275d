"""Signatures of packages: what holds, and everything that must not."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

sys.path.insert(0, str(Path(__file__).parent))
from package_parts import ORIGIN, parts

from fiat.errors import EnvironmentFault, SignatureFault
from fiat.model.package import write_package
from fiat.model.package_files import package_files
from fiat.model.provenance import Build, write_provenance
from fiat.model.signing import (
    carry_signature,
    provenance_beside,
    require_signature,
    sign_package,
    signature_beside,
    verify_package,
)
from fiat.model.signing_keys import key_id, new_key, read_public_key

DIGEST = "ab" * 16 + ".dir"


@dataclass
class Signed:
    """A signed package with its key."""

    folder: Path
    key: Path

    @property
    def public(self) -> Path:
        return self.key.with_name(self.key.name + ".pub")

    @property
    def signature(self) -> Path:
        return signature_beside(self.folder)

    def require(self, key: Path | None = None, digest: str = DIGEST) -> Any:
        return require_signature(self.folder, self.signature, key or self.public, digest=digest)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    root = tmp_path_factory.mktemp("signed")
    write_package(root / "package", parts(root / "parts"), ORIGIN)
    new_key(root / "key")
    signed = Signed(root / "package", root / "key")
    sign_package(signed.folder, signed.key, signed.signature)
    write_provenance(
        signed.folder, Build("tiny", DIGEST, commit="c" * 40), signed.key, provenance_beside(signed.signature)
    )
    return signed


@pytest.fixture
def signed(made: Signed, tmp_path: Path) -> Signed:
    """A copy that a test may harm."""
    shutil.copytree(made.folder.parent, tmp_path / "copy")
    return Signed(tmp_path / "copy" / "package", tmp_path / "copy" / "key")


def test_what_the_key_signed_holds_and_says_so(signed: Signed) -> None:
    verified = signed.require()
    assert verified.key == key_id(read_public_key(signed.public))
    assert verified.digest == DIGEST
    assert set(verified.files) == set(package_files(signed.folder)) >= {"model.onnx", "manifest.json"}


def test_signing_leaves_the_package_as_it_was(signed: Signed) -> None:
    before = package_files(signed.folder)
    sign_package(signed.folder, signed.key, signed.signature)
    assert package_files(signed.folder) == before
    assert sorted(path.name for path in signed.folder.parent.iterdir() if "package" in path.name) == [
        "package",
        "package.provenance.json",
        "package.sig",
    ]


def test_the_program_of_the_model_signing_project_accepts_the_signature(signed: Signed) -> None:
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(signed.folder)]
    command += ["--signature", str(signed.signature), "--public_key", str(signed.public)]
    command += ["--no-ignore-git-paths"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (signed.folder / "MODEL.md").write_text("another card")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "name", ["model.onnx", "signature.json", "metrics.json", "requirements.txt", "MODEL.md", "manifest.json"]
)
def test_one_flipped_bit_of_any_file_is_found(signed: Signed, name: str) -> None:
    _flip(signed.folder / name)
    with pytest.raises(SignatureFault, match=rf"signature does not hold: {name} changed since"):
        verify_package(signed.folder, signed.signature, signed.public)
    with pytest.raises(SignatureFault, match="refused"):
        signed.require()


def _add_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "x").write_text("")


def _link(folder: Path) -> None:
    (folder / "MODEL.md").rename(folder.parent / "moved.md")
    (folder / "MODEL.md").symlink_to(folder.parent / "moved.md")


def _change_places(folder: Path) -> None:
    (folder / "MODEL.md").rename(folder / "x")
    (folder / "metrics.json").rename(folder / "MODEL.md")
    (folder / "x").rename(folder / "metrics.json")


def _rewrite(folder: Path) -> None:
    """What a careful attacker does: the manifest fits the file again."""
    path = folder / "MODEL.md"
    path.write_text("trust me")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["MODEL.md"] = {
        "sha256": package_files(folder)["MODEL.md"],
        "size_bytes": path.stat().st_size,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


HARMS: dict[str, Callable[[Path], object]] = {
    "a new file": lambda folder: (folder / "extra.py").write_text("import os"),
    "a new hidden file of git": lambda folder: (folder / ".gitattributes").write_text("* text"),
    "a new folder with a file": _add_folder,
    "a file that is gone": lambda folder: (folder / "MODEL.md").unlink(),
    "a link in place of a file": _link,
    "two files that changed places": _change_places,
    "a file and the manifest that goes with it": _rewrite,
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_whatever_else_is_done_to_the_folder_is_refused(
    signed: Signed, harm: Callable[[Path], object]
) -> None:
    harm(signed.folder)
    with pytest.raises(EnvironmentFault):
        verify_package(signed.folder, signed.signature, signed.public)
    with pytest.raises(EnvironmentFault):
        signed.require()


def test_another_key_is_refused_by_name(signed: Signed, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other")
    with pytest.raises(SignatureFault, match="signed by the key [0-9a-f]{12}, not by [0-9a-f]{12}"):
        signed.require(other)
    sign_package(signed.folder, tmp_path / "other", signed.signature)
    with pytest.raises(SignatureFault, match="not by"):
        signed.require()


def test_a_signature_that_only_claims_to_be_by_the_key_is_refused(signed: Signed, tmp_path: Path) -> None:
    wanted = json.loads(signed.signature.read_text())["verificationMaterial"]
    new_key(tmp_path / "other")
    sign_package(signed.folder, tmp_path / "other", signed.signature)
    forged = {**json.loads(signed.signature.read_text()), "verificationMaterial": wanted}
    signed.signature.write_text(json.dumps(forged))
    with pytest.raises(SignatureFault, match="does not hold"):
        signed.require()


def test_a_signature_that_names_no_key_is_refused_without_a_word_on_standard_output(
    signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = json.loads(signed.signature.read_text())
    del bundle["verificationMaterial"]["publicKey"]["hint"]
    signed.signature.write_text(json.dumps(bundle))
    with pytest.raises(SignatureFault, match="no signature by a key"):
        signed.require()
    assert capsys.readouterr() == ("", "")


def test_the_signature_of_another_package_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(signed.folder, other)
    (other / "MODEL.md").write_text("another card")
    sign_package(other, signed.key, signature_beside(other))
    shutil.copyfile(signature_beside(other), signed.signature)
    with pytest.raises(SignatureFault, match="MODEL.md changed since"):
        verify_package(signed.folder, signed.signature, signed.public)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"verificationMaterial": 3}'])
def test_what_is_no_signature_is_refused(signed: Signed, content: bytes) -> None:
    signed.signature.write_bytes(content)
    with pytest.raises(SignatureFault, match="no signature"):
        verify_package(signed.folder, signed.signature, signed.public)


def test_a_missing_signature_or_statement_is_refused(signed: Signed) -> None:
    provenance_beside(signed.signature).unlink()
    with pytest.raises(SignatureFault, match=r"statement .* is missing"):
        signed.require()
    signed.signature.unlink()
    with pytest.raises(SignatureFault, match="it has no signature"):
        signed.require()


def test_a_statement_about_another_digest_is_refused(signed: Signed) -> None:
    with pytest.raises(SignatureFault, match="about the package abababababab, not about cdcdcdcdcdcd"):
        signed.require(digest="cd" * 16 + ".dir")


def test_a_statement_about_other_files_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(signed.folder, other)
    (other / "MODEL.md").write_text("another card")
    write_provenance(other, Build("tiny", DIGEST), signed.key, provenance_beside(signed.signature))
    with pytest.raises(SignatureFault, match="about other files"):
        signed.require()


def test_a_statement_by_another_key_or_with_changed_words_is_refused(signed: Signed, tmp_path: Path) -> None:
    path = provenance_beside(signed.signature)
    envelope = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["runDetails"]["builder"]["id"] = "urn:somebody:else"
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.write_text(json.dumps(envelope))
    with pytest.raises(SignatureFault, match="not signed by the key"):
        signed.require()
    new_key(tmp_path / "other")
    write_provenance(signed.folder, Build("tiny", DIGEST), tmp_path / "other", path)
    with pytest.raises(SignatureFault, match="not signed by the key"):
        signed.require()


def test_the_signature_itself_is_no_statement_though_the_same_key_signed_it(signed: Signed) -> None:
    """Both are envelopes of one kind: what the statement says of itself keeps them apart."""
    bundle = json.loads(signed.signature.read_text())
    provenance_beside(signed.signature).write_text(json.dumps(bundle["dsseEnvelope"]))
    with pytest.raises(SignatureFault, match="no provenance statement"):
        signed.require()


def test_a_signature_is_carried_with_its_statement(signed: Signed, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "copy"
    shutil.copytree(signed.folder, elsewhere)
    assert carry_signature(signed.signature, elsewhere) == signature_beside(elsewhere)
    assert require_signature(elsewhere, signature_beside(elsewhere), signed.public, digest=DIGEST).files
    assert carry_signature(tmp_path / "nothing.sig", tmp_path / "nowhere") is None


def _program(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fiat.model.signing", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_program_says_by_its_exit_code_whether_the_signature_holds(signed: Signed) -> None:
    words = ("verify", signed.folder, signed.signature, signed.public)
    good = _program(*words, DIGEST)
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    other = _program(*words, "cd" * 16 + ".dir")
    assert other.returncode == 1
    assert "not about cdcdcdcdcdcd" in other.stderr.splitlines()[-1]
    _flip(signed.folder / "model.onnx")
    bad = _program(*words)
    assert bad.returncode == 1
    assert "model.onnx is not what its manifest says" in bad.stderr.splitlines()[-1]
    assert _program("verify", signed.folder).returncode == 2


@pytest.mark.parametrize("library", ["model_signing", "cryptography"])
def test_without_the_libraries_it_says_what_to_install_and_not_that_a_signature_is_wrong(
    signed: Signed, library: str
) -> None:
    paths = ", ".join(f"Path({str(path)!r})" for path in (signed.folder, signed.signature, signed.public))
    code = (
        f"import sys; sys.modules[{library!r}] = None; from pathlib import Path;"
        f"from fiat.model import signing; signing.verify_package({paths})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert "EnvironmentFault" in last
    assert "pip install 'fiat-ml[sign]'" in last


def test_looking_for_a_signature_loads_neither_library() -> None:
    code = (
        "import sys, fiat.model.signing, fiat.engine.deploy;"
        "print(sorted({'model_signing', 'cryptography', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_a_new_key_is_readable_by_its_owner_alone_and_never_written_over(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(EnvironmentFault, match="already"):
        new_key(tmp_path / "key")
    public.unlink()
    with pytest.raises(EnvironmentFault, match="already"):
        new_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    assert not public.exists()


def _pem(key: Any, password: bytes | None = None) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    content: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_pem(ed25519.Ed25519PrivateKey.generate()), "none of the curves"),
        (_pem(ec.generate_private_key(ec.SECP256K1())), "none of the curves"),
        (_pem(ec.generate_private_key(ec.SECP256R1()), b"secret"), "has a password"),
        (b"nothing of the kind", "no such key"),
    ],
    ids=["ed25519", "another curve", "a password", "no key"],
)
def test_a_key_that_can_not_sign_models_is_refused_before_anything_is_written(
    signed: Signed, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    with pytest.raises(EnvironmentFault, match=reason):
        write_provenance(signed.folder, Build("tiny", DIGEST), path, tmp_path / "out.json")
    with pytest.raises(EnvironmentFault, match=reason):
        sign_package(signed.folder, path, tmp_path / "out.sig")
    assert not list(tmp_path.glob("*out*"))


def test_a_private_key_is_not_taken_for_a_public_one(signed: Signed) -> None:
    with pytest.raises(EnvironmentFault, match="no public key"):
        signed.require(signed.key)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=["P-384", "P-521"])
def test_larger_curves_sign_too(signed: Signed, tmp_path: Path, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    path = tmp_path / "large"
    path.write_bytes(_pem(key))
    public = tmp_path / "large.pub"
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    sign_package(signed.folder, path, signed.signature)
    write_provenance(signed.folder, Build("tiny", DIGEST), path, provenance_beside(signed.signature))
    assert signed.require(public).key == key_id(read_public_key(public))

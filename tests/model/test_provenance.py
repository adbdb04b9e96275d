"""The statement of how a package was made, read by the libraries of in-toto and of securesystemslib."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

sys.path.insert(0, str(Path(__file__).parent))
from package_parts import ORIGIN, parts

from fiat.errors import SignatureFault
from fiat.model.package import write_package
from fiat.model.package_files import package_files
from fiat.model.provenance import Build, Material, make_statement, read_statement, write_provenance
from fiat.model.signing_keys import new_key, read_public_key

BUILD = Build(
    model="acme/models:tiny",
    digest="ab" * 16 + ".dir",
    spec_path="specs/tiny/spec.yaml",
    spec_digest="cd" * 32,
    commit="0123456789abcdef0123456789abcdef01234567",
    params={"seed": 7, "net": {"width": 3}},
    materials=(
        Material("git", {"gitCommit": "0123456789abcdef0123456789abcdef01234567"}),
        Material("data.d", {"dvcMd5Tree": "ef" * 16}),
        Material("data.d/x.csv", {"md5": "aa" * 16}, "https://example.org/x.csv"),
    ),
    builder="https://fiat.example.org",
    builder_versions={"fiat": "1.2.3"},
    run="20261121-061500-4f2a",
    started_at="2026-11-21T06:15:00+00:00",
    ended_at="2026-11-21T06:16:00+00:00",
    sandbox="bubblewrap",
    gates=({"name": "accuracy >= 0.8", "state": "pass"},),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("provenance")
    write_package(root / "package", parts(root / "parts"), ORIGIN)
    new_key(root / "key")
    write_provenance(root / "package", BUILD, root / "key", root / "package.provenance.json")
    return root


def _statement(folder: Path) -> dict[str, Any]:
    envelope = json.loads((folder / "package.provenance.json").read_text())
    statement: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return statement


def test_in_toto_reads_the_statement_and_finds_every_file_as_its_subject(folder: Path) -> None:
    parsed = json_format.ParseDict(_statement(folder), statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    subjects = {one.name: dict(one.digest) for one in parsed.subject}
    assert subjects.pop("acme/models:tiny") == {"dvcMd5Tree": "ab" * 16}
    assert subjects == {
        name: {"sha256": digest} for name, digest in package_files(folder / "package").items()
    }


def test_the_predicate_is_slsa_provenance_without_a_field_of_our_own(folder: Path) -> None:
    statement = _statement(folder)
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    # Unknown fields would be refused here.
    predicate: Any = json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())
    external = json_format.MessageToDict(predicate.build_definition.external_parameters)
    assert external["spec"] == {"path": "specs/tiny/spec.yaml", "digest": {"sha256": "cd" * 32}}
    assert external["commit"] == BUILD.commit
    assert external["params"] == {"seed": 7, "net": {"width": 3}}
    used = {one.name: (dict(one.digest), one.uri) for one in predicate.build_definition.resolved_dependencies}
    assert used["data.d"] == ({"dvcMd5Tree": "ef" * 16}, "")
    assert used["data.d/x.csv"] == ({"md5": "aa" * 16}, "https://example.org/x.csv")
    assert predicate.run_details.builder.id == "https://fiat.example.org"
    assert predicate.run_details.metadata.invocation_id == BUILD.run
    assert predicate.run_details.metadata.started_on.ToJsonString() == "2026-11-21T06:15:00Z"
    internal = json_format.MessageToDict(predicate.build_definition.internal_parameters)
    assert internal["sandbox"] == "bubblewrap"


def test_securesystemslib_accepts_the_envelope(folder: Path) -> None:
    envelope = json.loads((folder / "package.provenance.json").read_text())
    public = load_pem_public_key((folder / "key.pub").read_bytes())
    key = SSlibKey.from_crypto(public, keyid=envelope["signatures"][0]["keyid"])
    assert list(Envelope.from_dict(envelope).verify([key], 1)) == [key.keyid]


def test_an_envelope_of_securesystemslib_is_accepted_too(folder: Path, tmp_path: Path) -> None:
    """Another signer's envelope, with a second signature before ours."""
    envelope = json.loads((folder / "package.provenance.json").read_text())
    stranger = {"keyid": "", "sig": base64.b64encode(b"not a signature").decode()}
    path = tmp_path / "several.json"
    path.write_text(json.dumps({**envelope, "signatures": [stranger, *envelope["signatures"]]}))
    assert read_statement(path, read_public_key(folder / "key.pub")) == _statement(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"payloadType": "text/plain"},
        {"payload": "bm90IGpzb24="},
        {"payload": "not base64!"},
        {"payload": 3},
        {"payloadType": None},
        {"signatures": []},
        {"signatures": "none"},
    ],
    ids=str,
)
def test_an_envelope_with_another_word_in_it_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    envelope = json.loads((folder / "package.provenance.json").read_text())
    path = tmp_path / "changed.json"
    path.write_text(json.dumps({**envelope, **change}))
    with pytest.raises(SignatureFault, match="refused"):
        read_statement(path, read_public_key(folder / "key.pub"))


def test_a_huge_statement_is_not_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(SignatureFault, match="no signed statement"):
        read_statement(path, read_public_key(folder / "key.pub"))


def test_times_that_are_not_known_are_left_out(folder: Path) -> None:
    statement = make_statement(folder / "package", Build("tiny", "ab" * 16 + ".dir"))
    assert statement["predicate"]["runDetails"]["metadata"] == {}
    json_format.ParseDict(statement["predicate"], provenance_pb2.Provenance())

"""How a package was made, as an in-toto statement with SLSA provenance, signed in a DSSE envelope.

Source: https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation/tree/main/spec/v1,
https://github.com/secure-systems-lab/dsse (protocol.md: PAE).
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault, SignatureFault
from fiat.model.package_files import package_files
from fiat.model.signing_keys import base64_text, holds, key_id, read_private_key, sign_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUILD_TYPE = "urn:fiat-ml:build:1"
TREE = "dvcMd5Tree"
_MOST_BYTES = 16 << 20


@dataclass(frozen=True)
class Material:
    """Something that a build used.

    Attributes:
        name: such as `data.scans` or `code/digits.py`.
        digest: algorithm to hex digits.
        uri: where it is; empty when nobody else can get it.
    """

    name: str
    digest: Mapping[str, str]
    uri: str = ""


@dataclass(frozen=True)
class Build:
    """How a package was made.

    Attributes:
        model: name that its releases go by.
        digest: of the package: MD5 in DVC's way, with `.dir` behind it.
        spec_path: of the spec in the checkout.
        spec_digest: SHA-256 of the composed spec.
        commit: git commit, empty outside git.
        dirty: the working tree differed from it.
        params: of the spec, JSON values.
        materials: data, code and files that it used.
        builder: URI of who built it.
        builder_versions: program to version.
        run: id of the run.
        started_at: ISO time; empty when unknown.
        ended_at: ISO time; empty when unknown.
        sandbox: how steps were shut off, such as `bubblewrap`; `none` for a desk.
        gates: what the gates said, JSON values.
    """

    model: str
    digest: str
    spec_path: str = ""
    spec_digest: str = ""
    commit: str = ""
    dirty: bool = False
    params: Mapping[str, object] = field(default_factory=dict)
    materials: Sequence[Material] = ()
    builder: str = ""
    builder_versions: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    started_at: str = ""
    ended_at: str = ""
    sandbox: str = "none"
    gates: Sequence[object] = ()


def write_provenance(folder: Path, build: Build, key: Path, out: Path) -> None:
    """Write the signed statement about a package; replaced in one step.

    Raises:
        EnvironmentFault: the key can't be used, or the disk refused.
    """
    private_key = read_private_key(key)
    payload = json.dumps(make_statement(folder, build), sort_keys=True, allow_nan=False).encode()
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64_text(payload),
        "signatures": [
            {
                "keyid": key_id(private_key.public_key()),
                "sig": base64_text(sign_bytes(private_key, _encode(PAYLOAD_TYPE, payload))),
            }
        ],
    }
    draft = out.with_name(f"unfinished.{os.getpid()}.{out.name}")
    try:
        draft.write_text(json.dumps(envelope, indent=1) + "\n", "utf-8")
        draft.replace(out)
    except OSError as error:
        raise EnvironmentFault(f"can't write {out}: {error.strerror}", hint="free some space") from error
    finally:
        draft.unlink(missing_ok=True)


def make_statement(folder: Path, build: Build) -> dict[str, Any]:
    """The statement: the package and each of its files, and how they were made."""
    subject: list[dict[str, Any]] = [
        {"name": build.model, "digest": {TREE: build.digest.removesuffix(".dir")}}
    ]
    subject += [
        {"name": name, "digest": {"sha256": digest}} for name, digest in package_files(folder).items()
    ]
    metadata = {
        "invocationId": build.run,
        "startedOn": build.started_at,
        "finishedOn": build.ended_at,
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "spec": {"path": build.spec_path, "digest": {"sha256": build.spec_digest}},
                    "commit": build.commit,
                    "dirty": build.dirty,
                    "params": dict(build.params),
                },
                "internalParameters": {"sandbox": build.sandbox, "gates": list(build.gates)},
                "resolvedDependencies": [_descriptor(one) for one in build.materials],
            },
            "runDetails": {
                "builder": {"id": build.builder, "version": dict(build.builder_versions)},
                "metadata": {name: value for name, value in metadata.items() if value},
            },
        },
    }


def statement_of(path: Path, folder: Path, public_key: Any, digest: str = "") -> str:
    """Check that a signed statement is about a package, byte by byte.

    Args:
        path: the envelope.
        folder: of the package.
        public_key: that it must be signed with.
        digest: that the package must have; empty takes the one that the statement names.

    Returns:
        Digest of the package that the statement is about, with `.dir` behind it.

    Raises:
        SignatureFault: it is missing, not signed by the key, or about another package.
    """
    statement = read_statement(path, public_key)
    try:
        said = [(str(one["name"]), dict(one["digest"])) for one in statement["subject"]]
        about = {name: found["sha256"] for name, found in said if "sha256" in found}
        (tree,) = [found[TREE] for _, found in said if TREE in found]
        if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
            raise ValueError("it is another kind of statement")
    except (LookupError, TypeError, ValueError) as error:
        raise _refusal(path, "it is no provenance statement of a package") from error
    if digest and f"{tree}.dir" != digest:
        raise _refusal(path, f"it is about the package {tree[:12]}, not about {digest[:12]}")
    if about != package_files(folder):
        raise _refusal(path, "it is about other files than the package has")
    return f"{tree}.dir"


def read_statement(path: Path, public_key: Any) -> dict[str, Any]:
    """The statement in an envelope that a key signed.

    Raises:
        SignatureFault: it is missing, no envelope, or not signed by the key.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        envelope = json.loads(path.read_bytes())
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = envelope["payloadType"]
        signed = _encode(kind, payload)
        signatures = [base64.b64decode(one["sig"], validate=True) for one in envelope["signatures"]]
    except FileNotFoundError:
        raise _refusal(path, "it is missing") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _refusal(path, "it is no signed statement") from error
    if kind != PAYLOAD_TYPE or not any(holds(public_key, one, signed) for one in signatures):
        raise _refusal(path, f"it is not signed by the key {key_id(public_key)[:12]}")
    try:
        statement = json.loads(payload)
    except ValueError as error:
        raise _refusal(path, "it holds no JSON") from error
    if not isinstance(statement, dict):
        raise _refusal(path, "it holds no statement")
    return statement


def _descriptor(material: Material) -> dict[str, Any]:
    found: dict[str, Any] = {"name": material.name, "digest": dict(material.digest)}
    return {**found, "uri": material.uri} if material.uri else found


def _encode(kind: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    words = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(words), words, len(payload), payload)


def _refusal(path: Path, reason: str) -> SignatureFault:
    return SignatureFault(
        f"the provenance statement {path.name} is refused: {reason}",
        hint="`fiat sign MODEL --key FILE` writes it anew",
    )

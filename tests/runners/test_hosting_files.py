"""systemd unit, compose file, image recipe and Kubernetes manifest: read by what reads them, and in step with each other."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from fiat.builtin.gpu_ledger import SETTING, ledger_folder
from fiat.builtin.ray_node import BYTES_VARIABLE, FOLDER_VARIABLE

ROOT = Path(__file__).parents[2]
RUNNERS = ROOT / "runners"
UNIT = RUNNERS / "fiat-runner.service"
# Each of these keeps bubblewrap from making its namespaces or its own /proc.
BREAKS_SANDBOX = {
    "RestrictNamespaces",
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectProc",
    "ProcSubset",
    "ProtectHostname",
    "PrivateUsers",
}


def unit_settings() -> dict[str, str]:
    lines = [
        line for line in UNIT.read_text("utf-8").splitlines() if "=" in line and not line.startswith("#")
    ]
    return dict(line.split("=", 1) for line in lines)


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("systemd-analyze")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing; CI must check the unit with it")
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text("utf-8").replace("/opt/fiat/bin/fiat", "/bin/true"), "utf-8")
    done = analyze("verify", str(copy))
    assert done.returncode == 0, done.stderr
    assert str(copy) not in done.stderr

    copy.write_text(copy.read_text("utf-8").replace("Type=exec", "Type=exactly"), "utf-8")
    assert str(copy) in analyze("verify", str(copy)).stderr


def test_the_unit_is_hardened_as_far_as_the_sandbox_allows(tmp_path: Path) -> None:
    settings = unit_settings()
    assert BREAKS_SANDBOX.isdisjoint(settings)
    assert "@mount" not in settings["SystemCallFilter"]
    assert settings["SystemCallFilter"].startswith("~")
    assert "AF_NETLINK" in settings["RestrictAddressFamilies"]
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["CapabilityBoundingSet"] == ""
    assert settings["OOMPolicy"] == "continue"
    done = analyze("security", "--offline=true", str(UNIT))
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert match is not None, done.stdout + done.stderr
    assert float(match[1]) < 5.0


def test_the_unit_keeps_the_ledger_of_gpus_where_commands_of_its_user_find_it() -> None:
    settings = unit_settings()
    name, _, folder = settings["Environment"].partition("=")
    assert (settings["PrivateTmp"], name) == ("yes", SETTING)
    assert Path(folder).parent == Path(settings["WorkingDirectory"])
    assert ledger_folder({name: folder}) == Path(folder)
    assert f"{name}={folder}" in (ROOT / "docs" / "runner.md").read_text("utf-8")


def compose() -> dict[str, Any]:
    document = yaml.safe_load((RUNNERS / "compose.yaml").read_text("utf-8"))
    assert isinstance(document, dict)
    return document


def test_the_compose_file_keeps_to_loopback_and_to_a_user_without_rights() -> None:
    runner, database = compose()["services"]["runner"], compose()["services"]["postgres"]
    assert all(port.startswith("127.0.0.1:") for port in runner["ports"])
    assert "ports" not in database
    assert runner["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in runner["security_opt"]
    assert "privileged" not in runner
    # What bubblewrap needs of a container.
    assert {"seccomp=unconfined", "systempaths=unconfined"} <= set(runner["security_opt"])
    assert "--encoding=UTF8" in database["environment"]["POSTGRES_INITDB_ARGS"]
    assert "POSTGRES_PASSWORD" not in database["environment"]
    assert "/healthz" in " ".join(runner["healthcheck"]["test"])
    assert set(compose()["volumes"]) == {"store", "database"}


def test_the_compose_file_fits_the_published_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(RUNNERS / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def recipe() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (RUNNERS / "Containerfile").read_text("utf-8"))
    lines = (line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return [(words[0], words[1]) for words in lines]


def test_the_image_runs_as_nobody_and_brings_what_the_sandbox_needs() -> None:
    steps = recipe()
    last = max(place for place, (word, _) in enumerate(steps) if word == "FROM")
    final = steps[last:]
    assert ("USER", "10001:10001") in final
    assert [word for word, _ in final].index("USER") > max(
        place for place, (word, _) in enumerate(final) if word == "RUN"
    )
    installed = " ".join(value for word, value in final if word == "RUN")
    assert {"bubblewrap", "git", "tini", "wget"} <= set(installed.split())
    assert all(word != "ADD" for word, _ in steps)
    # Base images by name only: which registry they come from is for whoever builds.
    for value in (value for word, value in steps if word == "FROM"):
        assert re.fullmatch(r"[a-z]+:[\w.-]+( AS \w+)?", value), value


def test_the_image_copies_what_its_installation_reads() -> None:
    for _, value in (step for step in recipe() if step[0] == "COPY" and "--from" not in step[1]):
        for source in value.split()[:-1]:
            assert (ROOT / source).exists(), source
    installs = next(value for word, value in recipe() if word == "RUN" and "pip install" in value)
    assert "-c /src/constraints.txt" in installs


def manifest() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((RUNNERS / "kuberay.yaml").read_text("utf-8"))
    return {document["kind"]: document for document in documents}


def test_the_cluster_asks_for_a_token_everywhere_and_has_the_ray_that_fiat_was_tested_with() -> None:
    cluster = manifest()["RayCluster"]
    assert cluster["apiVersion"] == "ray.io/v1"
    assert cluster["spec"]["rayVersion"] == version("ray")
    pods = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    own = ("store", "node")  # a worker does not see the store: files are sent to it
    for pod, folder in zip(pods, own, strict=True):
        assert isinstance(pod["rayStartParams"], dict)
        spec = pod["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            variables = {item["name"]: item for item in container["env"]}
            assert variables["RAY_AUTH_MODE"]["value"] == "token"
            assert variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["key"] == "auth_token"
            mounts = {item["name"] for item in container["volumeMounts"]}
            assert {folder, "shared-memory", "ray"} <= mounts
            assert mounts.isdisjoint({*own} - {folder})
            assert mounts <= {volume["name"] for volume in spec["volumes"]}
            assert container["image"] == compose()["services"]["runner"]["image"]


def test_only_the_web_port_of_the_cluster_is_for_others() -> None:
    documents = manifest()
    rules = documents["NetworkPolicy"]["spec"]["ingress"]
    open_rules = [rule for rule in rules if "from" not in rule]
    assert [rule["ports"] for rule in open_rules] == [[{"port": "web"}]]
    head = documents["RayCluster"]["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for container in head for port in container["ports"]}
    settings = yaml.safe_load((RUNNERS / "cluster.yaml").read_text("utf-8"))
    assert ports["web"] == settings["listen"]["port"]
    assert (
        settings["ray_address"]
        == f"{documents['RayCluster']['metadata']['name']}-head-svc:{ports['gcs-server']}"
    )
    assert documents["Service"]["spec"]["ports"][0]["targetPort"] == "web"
    assert documents["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    (worker,) = documents["RayCluster"]["spec"]["workerGroupSpecs"]
    (container,) = worker["template"]["spec"]["containers"]
    variables = {item["name"]: item.get("value", "") for item in container["env"]}
    places = [item["mountPath"] for item in container["volumeMounts"] if item["name"] == "node"]
    assert variables[FOLDER_VARIABLE].startswith(f"{places[0]}/")
    assert int(variables[BYTES_VARIABLE]) < 200 << 30


def test_settings_lie_where_unit_compose_and_manifest_look_for_them() -> None:
    assert unit_settings()["ExecStart"].endswith("/fiat runner --config /etc/fiat/runner.yaml")
    assert dict(recipe())["CMD"] == '["runner", "--config", "/etc/fiat/runner.yaml"]'
    assert any(
        item.endswith(":/etc/fiat/runner.yaml:ro") for item in compose()["services"]["runner"]["volumes"]
    )
    settings = yaml.safe_load((RUNNERS / "gpu.yaml").read_text("utf-8"))
    assert settings["store"] == unit_settings()["WorkingDirectory"]
    assert settings["repositories"][0]["targets"]["shelf"]["path"] in unit_settings()["ReadWritePaths"]

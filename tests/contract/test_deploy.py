"""What deploy/ holds: the container, the compose file and the manifests, checked without running them."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # a dependency of huggingface-hub

from earmark.config.file import load, parse
from earmark.serving.applications import Arguments, Where, configuration
from tests.posting import DEADLINE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = {path.name: list(yaml.safe_load_all(path.read_text())) for path in (DEPLOY / "kubernetes").glob("*.yaml")}
EVERY = [(name, each) for name, manifests in sorted(MANIFESTS.items()) for each in manifests]
REQUIREMENTS = runpy.run_path(str(DEPLOY / "requirements.py"))
USER = 10001


def of(chosen: Callable[[dict[str, Any]], object]) -> pytest.MarkDecorator:
    found = [pytest.param(each, id=f"{name}-{each['kind']}") for name, each in EVERY if chosen(each)]
    return pytest.mark.parametrize("manifest", found)


def pods(manifest: Any) -> list[dict[str, Any]]:
    """The pods that a manifest describes, at any depth."""
    if isinstance(manifest, list):
        return [pod for each in manifest for pod in pods(each)]
    if not isinstance(manifest, dict):
        return []
    return [manifest] if "containers" in manifest else pods(list(manifest.values()))


def containers(manifest: Any) -> list[dict[str, Any]]:
    return [each for pod in pods(manifest) for each in pod["containers"]]


def test_the_image_runs_without_privileges_and_tells_its_health() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert f"USER {USER}:{USER}" in final
    assert final.index("USER") > final.index("apt-get")
    assert "HEALTHCHECK" in final
    assert "/live" in final
    assert "VOLUME /var/lib/earmark" in final
    assert "STATE_DIRECTORY=/var/lib/earmark" in final


def test_the_image_is_built_from_pinned_packages_and_leaves_no_lists_behind() -> None:
    assert "PIP_CONSTRAINT=/src/constraints.txt" in DOCKERFILE
    assert "--no-install-recommends" in DOCKERFILE
    assert "rm -rf /var/lib/apt/lists/*" in DOCKERFILE
    assert not re.search(r"^ADD |:latest|curl .*\| *sh", DOCKERFILE, re.M)


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.M):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists()
            assert name == "." or name.partition("/")[0] in kept
    assert kept >= {"daemon", "clients", "config", "README.md", "LICENSE"}  # what the wheel is built of


def test_models_in_onnx_need_no_torch_and_the_others_do() -> None:
    names = {
        runtime: {REQUIREMENTS["package"](each) for each in REQUIREMENTS["requirements"](PROJECT, runtime, "mqtt, oip")}
        for runtime in ("onnx", "cpu", "cuda")
    }
    assert names["cpu"] - names["onnx"] == {"torch", "transformers"}
    assert names["cpu"] == names["cuda"]
    assert {"onnxruntime", "msgspec", "aiomqtt", "grpcio"} <= names["onnx"]


@pytest.mark.parametrize(
    ("runtime", "extras", "told"),
    [("rocm", "", "RUNTIME is 'rocm', not one of onnx, cpu, cuda"), ("onnx", "mtqq", "there is no extra 'mtqq'")],
)
def test_a_runtime_or_extra_that_does_not_exist_ends_the_build(runtime: str, extras: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        REQUIREMENTS["requirements"](PROJECT, runtime, extras)


def test_the_extras_of_the_image_exist() -> None:
    extras = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.M)
    assert extras
    assert all(REQUIREMENTS["requirements"](PROJECT, "onnx", each) for each in extras)


@pytest.mark.parametrize(("name", "publishers"), [("earmark.toml", 2), ("bare.toml", 0)])
def test_the_configuration_of_the_image_is_one_that_the_daemon_takes(name: str, publishers: int) -> None:
    settings = load(DEPLOY / name)
    assert settings.server.listen == "0.0.0.0:8765"
    assert {each.model for each in settings.classifier} == {"earmark/commands", "earmark/sounds"}
    assert len(settings.publish) == publishers


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_service_can_write_to_its_volumes_alone_and_is_reached_from_this_machine_alone(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["image"].endswith(":latest")
    assert ":" in service["image"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for volume in service.get("volumes", []):
        source, _, _ = volume.partition(":")
        assert (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


def test_the_daemon_and_the_monitoring_call_services_that_compose_has() -> None:
    settings = load(DEPLOY / "earmark.toml")
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    [job] = scraped["scrape_configs"]
    known = yaml.safe_load((ROOT / "config" / "examples" / "prometheus.yml").read_text())["scrape_configs"][0]
    assert job["job_name"] == known["job_name"]
    [data] = yaml.safe_load((DEPLOY / "grafana" / "datasources.yaml").read_text())["datasources"]
    called = {job["static_configs"][0]["targets"][0], data["url"].removeprefix("http://")}
    called |= {url.removeprefix("nats://") for each in settings.publish for url in getattr(each, "servers", ())}
    called |= {each.host for each in settings.publish if hasattr(each, "host")}
    assert {each.partition(":")[0] for each in called} == {"earmark", "mosquitto", "nats", "prometheus"}
    assert {each.partition(":")[0] for each in called} <= COMPOSE["services"].keys()
    assert "earmark" in settings.server.allow_hosts  # Prometheus calls it so


def test_podman_compose_understands_the_compose_file() -> None:
    pytest.importorskip("podman_compose", reason="podman-compose is not installed")
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed, which podman-compose asks for its version")
    command = [sys.executable, "-m", "podman_compose", "-f", str(DEPLOY / "compose.yaml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == COMPOSE["services"].keys()


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    for file in (DEPLOY / "prometheus.yml", ROOT / "config" / "examples" / "alerts.yml"):
        shutil.copy(file, tmp_path)
    command = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr


@of(lambda manifest: True)
def test_a_manifest_is_one_by_the_schema_of_kubernetes(manifest: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    if manifest["kind"] == "RayService":
        for pod in pods(manifest):  # the rest is KubeRay's
            one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, "spec": pod}
            validate.validate(one, "1.30", strict=True)
        return
    validate.validate(manifest, "1.30", strict=True)


@of(pods)
def test_the_pods_cannot_write_to_their_roots_and_run_as_the_user_of_the_image(manifest: dict[str, Any]) -> None:
    for pod in pods(manifest):
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == USER
        assert pod["automountServiceAccountToken"] is False
    for container in containers(manifest):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert "/var/lib/earmark" in {each["mountPath"] for each in container["volumeMounts"]}
        assert "memory" in container["resources"]["limits"]
        assert container["livenessProbe"]
        if manifest["kind"] != "DaemonSet":  # which needs the microphone of its node
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False


@of(lambda manifest: manifest["kind"] == "ConfigMap")
def test_the_settings_in_a_manifest_are_such_that_a_configuration_may_hold(manifest: dict[str, Any]) -> None:
    for text in manifest["data"].values():
        assert parse(tomllib.loads(text)) is not None


def test_the_parts_of_the_gateway_belong_together() -> None:
    by_kind = {each["kind"]: each for each in MANIFESTS["gateway.yaml"]}
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"] == labels
    assert by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert (
        by_kind["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
        == by_kind["Deployment"]["metadata"]["name"]
    )
    assert "replicas" not in by_kind["Deployment"]["spec"]  # they are the autoscaler's


def test_ray_is_told_to_serve_what_the_command_prints() -> None:
    [service] = MANIFESTS["models.yaml"]
    models = [Arguments(model, "", 2, 0, 0.0, 1.0) for model in ("earmark/commands", "earmark/sounds")]
    printed = yaml.safe_load(configuration(models, Where(http_port=8000)))
    assert yaml.safe_load(service["spec"]["serveConfigV2"]) == printed

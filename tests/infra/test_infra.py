"""The files for servers say what they have to, hold no secret, and start nothing without one."""

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
COMPOSE = INFRA / "compose.yaml"
OURS = ("mlflow", "prefect", "worker", "service")
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH_STRING|_URL$")
VARIABLE = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.fixture(scope="module")
def targets():
    """The instructions of each stage of the Dockerfile."""
    lines = (INFRA / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        if match := re.match(r"FROM (\S+) AS (\w+)", line):
            found[match[2]] = [line]
        elif found and line and not line.startswith("#"):
            found[list(found)[-1]].append(line)
    return found


def tool(name: str) -> str:
    """A linter of this environment."""
    place = shutil.which(name, path=str(Path(sys.executable).parent))
    assert place is not None, f"{name} is absent: make install"
    return place


def test_the_compose_file_is_of_its_schema():
    subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)], check=True, capture_output=True
    )


def test_the_dockerfile_is_clean():
    found = subprocess.run([tool("hadolint"), str(INFRA / "Dockerfile")], capture_output=True, text=True)
    assert found.returncode == 0 and found.stdout == "", found.stdout


def test_without_a_secret_nothing_starts(services):
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            words = VARIABLE.findall(str(value))
            if SECRET.search(key) and "://" not in re.sub(r"\$\{[^}]*\}", "", str(value)).split("@")[0]:
                assert words and all(how.startswith((":?", ":-http")) for _, how in words), f"{name}: {key} may be empty"
            assert "@" not in str(value) or re.search(r":\$\{\w+:\?[^}]*\}@", str(value)), (
                f"{name}: {key} has a password of its own"
            )


def test_the_example_names_every_secret_and_gives_no_value():
    asked = {name for name, how in VARIABLE.findall(COMPOSE.read_text()) if how.startswith(":?")}
    lines = [line for line in (INFRA / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert {line.partition("=")[0] for line in lines} == asked
    assert all(line.endswith("=") for line in lines)
    assert "infra/.env" in (INFRA.parent / ".gitignore").read_text().split()


def test_what_may_be_left_out_is_named_in_the_example_too():
    optional = {name for name, how in VARIABLE.findall(COMPOSE.read_text()) if how.startswith(":-")}
    assert optional <= set(re.findall(r"^#(\w+)=", (INFRA / ".env.example").read_text(), re.MULTILINE))


def test_the_worker_is_told_whom_to_tell_of_a_failure_and_nobody_unless_named(services):
    assert services["worker"]["environment"]["TUNEKEEPER_NOTIFY"] == "${TUNEKEEPER_NOTIFY:-}"


def test_every_one_waits_for_what_it_needs_to_be_healthy(services, targets):
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            once = services[needed].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), f"{name} on {needed}"
            checked = "healthcheck" in services[needed] or any(line.startswith("HEALTHCHECK") for line in targets[needed])
            assert once or checked, f"{needed} has no health check"


def test_ours_run_as_a_user_without_rights_on_a_read_only_disk_and_are_published_here_alone(services, targets):
    assert [line for line in targets["base"] if line.startswith("USER")] == ["USER 10001:10001"]
    for name in OURS:
        assert targets[name][0] == f"FROM base AS {name}"
        assert not any(line.startswith(("USER", "COPY", "RUN")) for line in targets[name][1:]), "the roles share their layers"
        assert services[name]["build"]["target"] == name and services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
    assert all(port.startswith("${BIND:-127.0.0.1}:") for one in services.values() for port in one.get("ports", []))


def test_an_image_starts_what_the_compose_file_does(services, targets):
    for name in OURS:
        own = json.loads(next(line for line in targets[name] if line.startswith("CMD")).removeprefix("CMD "))
        given = [VARIABLE.sub(lambda found: (found[2] or "")[2:], word) for word in services[name]["command"]]
        assert given[: len(own) - 1] == own[: len(own) - 1] or set(own) <= set(given), name


def test_no_image_holds_a_secret(targets):
    words = " ".join(line for lines in targets.values() for line in lines if line.startswith(("ENV", "ARG")))
    assert not re.search(r"PASSWORD|SECRET|API_KEY|TOKEN", words)
    assert "infra/.env" in (INFRA.parent / ".dockerignore").read_text().split()


def test_the_servers_lock_is_exact_and_apart_from_the_main_one():
    def pins(path):
        return dict(line.lower().split("==") for line in path.read_text().splitlines() if not line.startswith("#"))

    own, main = pins(INFRA / "requirements-servers.lock"), pins(INFRA.parent / "requirements.lock")
    assert {"boto3", "s3fs", "flask-wtf", "prometheus_flask_exporter"} <= set(own) and {"asyncpg", "psycopg2-binary"} <= set(main)
    assert not set(own) & set(main)


def test_prefect_yaml_deploys_flows_that_are_there():
    given = yaml.safe_load((INFRA / "prefect.yaml").read_text())
    assert given["prefect-version"] == metadata.version("prefect")
    for deployment in given["deployments"]:
        file, _, name = deployment["entrypoint"].partition(":")
        assert f"def {name}(" in (INFRA.parent / file).read_text()

"""What servers need once, and again without harm: `python infra/settle.py bucket | users | pool | pipelines ...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tasks.common.http import HttpAnswer, basic_auth, fetch

USERS = {"worker": "MLFLOW_WORKER_PASSWORD", "service": "MLFLOW_SERVICE_PASSWORD"}


def main() -> None:
    """Do what is named, in order; the first that fails ends it."""
    known = {"bucket": bucket, "users": users, "pool": pool, "pipelines": pipelines}
    for name in sys.argv[1:]:
        if name not in known:
            sys.exit(f"error: {name} is not known: name {', '.join(known)}")
        known[name]()


def bucket() -> None:
    """The bucket of MLFLOW_ARTIFACTS_DESTINATION, made if absent."""
    import boto3
    from botocore.exceptions import ClientError

    name = urlsplit(_required_variable("MLFLOW_ARTIFACTS_DESTINATION")).netloc
    client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None)
    try:
        client.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            sys.exit(f"error: the bucket {name} cannot be made ({error}): check S3_ENDPOINT and the keys")


def users() -> None:
    """One who trains and promotes, one who only reads; a password that changed is set again."""
    for name, variable in USERS.items():
        made = _call_admin_api("users/create", {"username": name, "password": _required_variable(variable)})
        if made.status == 400 and "RESOURCE_ALREADY_EXISTS" in made.text:
            made = _call_admin_api("users/update-password", {"username": name, "password": _required_variable(variable)}, "PATCH")
        if not made.ok:
            sys.exit(
                f"error: MLflow's user {name} cannot be made (HTTP {made.status}: {made.text[:200]}): check the admin's password"
            )


def pool() -> None:
    """The worker's pool, and the schedule of `reconcile`."""
    from flows.reconcile import schedule_reconcile, settle_pool
    from tasks.common.home import find_home, settle_environment

    settle_environment(find_home())
    for sentence in (settle_pool(), schedule_reconcile()):
        sys.stdout.write(f"{sentence}\n")


def pipelines() -> None:
    """The schedules and triggers of the configs that TUNEKEEPER_PIPELINES names, separated by spaces; none where it names none."""
    from flows.deploy.apply import deploy_pipelines

    if configs := [Path(word) for word in os.environ.get("TUNEKEEPER_PIPELINES", "").split()]:
        deploy_pipelines(configs)


def _call_admin_api(call: str, body: dict[str, str], method: str = "POST") -> HttpAnswer:
    who = f"{_required_variable('MLFLOW_TRACKING_USERNAME')}:{_required_variable('MLFLOW_TRACKING_PASSWORD')}"
    url = f"{_required_variable('MLFLOW_TRACKING_URI')}/api/2.0/mlflow/{call}"
    return fetch(url, body, {"Authorization": basic_auth(who)}, seconds=20, method=method)


def _required_variable(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        sys.exit(f"error: {variable} is not set: infra/.env.example says what it is")
    return value


if __name__ == "__main__":
    main()

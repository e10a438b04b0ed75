"""Start MLflow with auth: `python infra/mlflow_server.py OPTIONS OF mlflow server`.

Its auth takes a file with the address of its database, which holds a password: so the file is made here, for this process alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from string import Template

TEMPLATE = Path(__file__).with_name("mlflow-auth.ini")


def main() -> None:
    """Write the file, then become the server."""
    uri = os.environ.get("MLFLOW_BACKEND_STORE_URI")
    if not uri:
        sys.exit("error: MLFLOW_BACKEND_STORE_URI is not set: users are kept in that database too")
    handle, path = tempfile.mkstemp(prefix="mlflow-auth-", suffix=".ini")  # readable by this user alone
    with os.fdopen(handle, "w") as file:
        file.write(Template(TEMPLATE.read_text()).substitute(database_uri=uri.replace("%", "%%")))
    environment = {**os.environ, "MLFLOW_AUTH_CONFIG_PATH": path}
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", "server", *sys.argv[1:]], environment)  # noqa: S606


if __name__ == "__main__":
    main()

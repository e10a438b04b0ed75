"""Short requests to servers over HTTP, by the standard library alone."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from configs.credentials import without_credentials

if TYPE_CHECKING:
    import psutil

SECONDS = 2.0
LONGEST = 4 << 20  # bytes of an answer that are read: what is asked for here is short


@dataclass(frozen=True)
class HttpAnswer:
    """`status` is 0 where nothing answered, and `text` says why; `time` is the server's clock, in seconds since 1970."""

    status: int
    text: str
    time: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def value(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def fetch(
    url: str, body: object = None, headers: dict[str, str] | None = None, seconds: float = SECONDS, method: str | None = None
) -> HttpAnswer:
    """GET, or POST where there is a body; never raises for what the server or the network does, and ends soon after `seconds`."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return HttpAnswer(0, f"{parts.scheme or 'nothing'} is no web address")
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    if parts.username:
        user, password = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
        all_headers["Authorization"] = basic_auth(f"{user}:{password}")
        url = urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), all_headers, method=method)  # noqa: S310  (checked above)
    opener, until = urllib.request.build_opener(_LoginForOneServer()), time.monotonic() + seconds
    try:
        try:
            answer = opener.open(request, timeout=seconds)
        except urllib.error.HTTPError as error:
            answer = error  # an answer too, with a body
        with answer:
            return HttpAnswer(answer.status, _read_body(answer, until), _parse_date(answer.headers.get("Date")))
    except urllib.error.URLError as error:
        return HttpAnswer(0, str(getattr(error.reason, "strerror", None) or error.reason))
    except http.client.HTTPException as error:
        return HttpAnswer(0, f"what answers there speaks no HTTP ({type(error).__name__})")
    except (OSError, ValueError) as error:
        return HttpAnswer(0, str(error) or type(error).__name__)


class _LoginForOneServer(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but gives the login of one server to no other."""

    def redirect_request(self, req: urllib.request.Request, *args: Any) -> urllib.request.Request | None:
        following = super().redirect_request(req, *args)
        if following is not None and (following.type, following.host) != (req.type, req.host):
            following.remove_header("Authorization")
        return following


def _read_body(answer: Any, until: float) -> str:
    """The whole body; OSError where it has not ended by `until` (of the monotonic clock), ends early, or is beyond LONGEST."""
    body = b""
    while block := answer.read1(1 << 16):
        body += block
        if len(body) > LONGEST:
            raise OSError(f"the answer is longer than {LONGEST:,} bytes")
        if time.monotonic() > until:
            raise TimeoutError("timed out")
    if answer.length:
        raise ConnectionError("the connection ended within the answer")
    return body.decode(errors="replace")


def basic_auth(user_password: str) -> str:
    """The header of `user:password`."""
    return "Basic " + base64.b64encode(user_password.encode()).decode()


def prefect_headers() -> dict[str, str]:
    """The header that Prefect's server asks for: user and password, or a key."""
    if user_password := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": basic_auth(user_password)}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}


def mlflow_headers() -> dict[str, str]:
    name, word = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    return {"Authorization": basic_auth(f"{name}:{word}")} if name and word else {}


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether no process listens there; a port that a server has just left is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_listener(port: int) -> str | None:
    """The process that listens on a port, as `process 123 (mlflow)`; None where the system does not say."""
    import psutil

    try:
        pid = next(c.pid for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port and c.pid)
        return f"process {pid} ({_command_name(psutil.Process(pid))})"
    except (StopIteration, psutil.Error):
        return None


def _command_name(process: psutil.Process) -> str:
    words = [word.rpartition("/")[2] for word in process.cmdline() if not word.startswith("-")]
    return " ".join(words[:3]) or str(process.name())


def _parse_date(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except ValueError:
        return None


def main() -> None:
    """`python -m tasks.common.http URL`: exit 0 where it answers well; a container's health check."""
    answer = fetch(sys.argv[1], seconds=4)
    if not answer.ok:
        sys.exit(without_credentials(f"{sys.argv[1]}: {answer.status or ''} {answer.text[:200]}"))


if __name__ == "__main__":
    main()

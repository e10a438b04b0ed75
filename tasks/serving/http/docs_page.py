"""The page that shows the service's paths in a browser, and tries them: Swagger UI, from files of this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import fastapi_offline
from starlette.responses import FileResponse, Response

OWN, SWAGGER = Path(__file__).parent / "docs", Path(fastapi_offline.__file__).parent / "static"
PAGE = "/docs"
FILES = {
    PAGE: OWN / "page.html",
    f"{PAGE}/page.css": OWN / "page.css",
    f"{PAGE}/page.js": OWN / "page.js",
    f"{PAGE}/swagger-ui.css": SWAGGER / "swagger-ui.css",
    f"{PAGE}/swagger-ui-bundle.js": SWAGGER / "swagger-ui-bundle.js",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def docs_answer(path: str) -> Callable[[], Response]:
    """What answers a path of FILES; nothing in them is the service's own, so that they want no key."""

    def answer() -> Response:
        return FileResponse(FILES[path], headers=HEADERS)

    return answer

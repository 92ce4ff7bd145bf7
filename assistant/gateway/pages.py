"""The widget's scripts and the demo page: the files of one folder, read once, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from assistant.gateway.protocol import Refusal

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


@dataclass(frozen=True, slots=True)
class Page:
    """One file as it is served."""

    body: bytes
    headers: dict[str, str]
    etag: str


class Pages:
    """The files of ``folder`` that browsers may have, in memory. `load` reads them."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._pages: dict[str, Page] = {}

    def load(self) -> None:
        """Read the folder's files of known types."""
        paths = [path for path in self._folder.iterdir() if path.suffix in TYPES]
        self._pages = {path.name: _page(path.suffix, path.read_bytes()) for path in paths}

    async def get_index(self, request: web.Request) -> web.Response:
        """The demo page."""
        return self._serve("demo.html", request)

    async def get_widget(self, request: web.Request) -> web.Response:
        """The widget's script, for any site."""
        return self._serve("widget.js", request)

    async def get_static(self, request: web.Request) -> web.Response:
        """One of the files by its name."""
        return self._serve(request.match_info["name"], request)

    def _serve(self, name: str, request: web.Request) -> web.Response:
        page = self._pages.get(name)
        if page is None:
            raise Refusal("not_found", "There is no such file.")
        if any(tag.value in (page.etag, "*") for tag in request.if_none_match or ()):
            response = web.Response(status=304, headers=page.headers)
        else:
            response = web.Response(body=page.body, headers=page.headers)
        response.etag = page.etag
        return response


def _page(suffix: str, body: bytes) -> Page:
    # Revalidated every time: the widget's modules must be of one version. Any site may load them.
    headers: dict[str, str] = {hdrs.CONTENT_TYPE: TYPES[suffix], hdrs.CACHE_CONTROL: "no-cache"}
    if suffix == ".html":
        headers["Content-Security-Policy"] = POLICY
    else:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    return Page(body, headers, hashlib.sha256(body).hexdigest()[:32])

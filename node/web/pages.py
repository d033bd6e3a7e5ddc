"""The page's files, served from memory: one shell for all of its addresses, and what the shell asks for.

A file is read and compressed once, when the node starts. A browser asks every time whether it is still the same
(``no-cache`` with an ETag), so that a newer node's page is never mixed with an older one's parts.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

FOLDER: Final = Path(__file__).parent / "static"
SHELL: Final = "index.html"
SHELL_PATHS: Final = (
    "/",
    "/jobs",
    "/jobs/{job_id}",
    "/submit",
    "/submit/{draft_id}",
    "/operator",
    "/network",
    "/wallet",
)
VENDORED: Final = "vendor/fetched.json"
"""Written last when the parts by other projects are fetched: without it they are not all there."""
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
PACKED: Final = frozenset({".woff2"})
"""Kinds of files that are compressed already."""
INLINE_SCRIPT: Final = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
INCOMPLETE: Final = (
    "The page's parts by other projects are not here, so the page cannot be shown: run `make setup` in the checkout, "
    "and start the node again. The command line and the API work without them.\n"
)


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file as it is sent, plain and compressed."""

    media_type: str
    plain: bytes
    packed: bytes | None
    tag: str

    def response(self, request: Request) -> Response:
        """The file, or only that it is still the same."""
        headers = {"etag": self.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if self.tag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers=headers | {"content-encoding": "gzip"}, media_type=self.media_type)
        return Response(self.plain, headers=headers, media_type=self.media_type)


@dataclass(frozen=True, slots=True)
class Pages:
    """All files by their path below ``/static``, with the shell among them."""

    files: Mapping[str, PageFile]

    @property
    def is_whole(self) -> bool:
        """Whether the parts by other projects were fetched."""
        return VENDORED in self.files

    @property
    def script_hashes(self) -> list[str]:
        """The shell's inline scripts (its import map), as a content security policy names them."""
        found = INLINE_SCRIPT.findall(self.files[SHELL].plain)
        return ["sha256-" + base64.b64encode(hashlib.sha256(script).digest()).decode() for script in found]

    def routes(self) -> list[BaseRoute]:
        """The shell at each of the page's addresses, and the files."""
        return [
            *(Route(path, self._shell, methods=["GET"]) for path in SHELL_PATHS),
            Route("/static/{path:path}", self._file, methods=["GET"]),
        ]

    async def _shell(self, request: Request) -> Response:
        if not self.is_whole:
            return PlainTextResponse(INCOMPLETE, 503)
        return self.files[SHELL].response(request)

    async def _file(self, request: Request) -> Response:
        file = self.files.get(request.path_params["path"])
        if file is None:
            return PlainTextResponse("There is no such file.\n", 404)
        return file.response(request)


def load_pages(folder: Path = FOLDER) -> Pages:
    """Read and compress all files of the page."""
    return Pages(
        {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in MEDIA_TYPES
        }
    )


def _read(path: Path) -> PageFile:
    plain = path.read_bytes()
    packed = None if path.suffix in PACKED else gzip.compress(plain, 9, mtime=0)
    tag = f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"'
    return PageFile(MEDIA_TYPES[path.suffix], plain, packed, tag)

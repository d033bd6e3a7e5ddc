"""Stands before the application on the network port, and before nothing else decides who is let in.

- ``Host`` has to be an address of this node: an attacker's name that resolves to loopback is refused (DNS rebinding).
- Every request of the API needs the token (``Authorization: Bearer``) or the browser's cookie.
- A browser says where a request comes from; another site's is refused whatever it carries (CSRF), and a request that
  changes something has to say it.
- A body is cut off at the bound, said or not. Every answer carries a strict content security policy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morphware.node.api.links import Keyring
from morphware.node.api.problems import (
    FORBIDDEN,
    NO_TOKEN,
    TOO_LARGE,
    WRONG_HOST,
    Refusal,
    problem_response,
    response_to,
)
from morphware.node.api.routes import Door

log = structlog.get_logger()

BODY_BYTES_MOST: Final = 1 << 20
COOKIE_LIFE_S: Final = 30 * 24 * 3600
LINK_PATH: Final = "/open"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def content_security_policy(inline_hashes: Iterable[str] = ()) -> str:
    """Only our own files; inline scripts only by their hash."""
    scripts = " ".join(["'self'", *(f"'{each}'" for each in inline_hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class SocketDoor:
    """For the socket in the data folder: whoever can open it could read the keys, so nothing is asked of him."""

    application: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["door"] = Door.SOCKET
            await self.application(scope, receive, send)


@dataclass(frozen=True, slots=True)
class NetworkDoor:
    """For the network port. ``hosts`` are the names with port that this node is called by."""

    application: ASGIApp
    keyring: Keyring
    hosts: frozenset[str]
    cookie_name: str
    policy: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        send = self._with_headers(scope, send)
        headers = Headers(scope=scope)
        try:
            self._check_place(headers, scope["method"])
            if scope["path"] == LINK_PATH:
                await self._let_in(scope)(scope, receive, send)
                return
            if scope["path"].startswith("/api"):
                self._check_right(headers, scope["method"])
        except Refusal as refusal:
            response = problem_response(refusal.kind, refusal.sentence)
            if refusal.kind is NO_TOKEN:
                response.headers["www-authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        scope["door"] = Door.BOTH
        await self.application(scope, receive, send)

    def _check_place(self, headers: Headers, method: str) -> None:
        """To this node, and not from another site's page."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            raise Refusal(WRONG_HOST)
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in self.hosts}:
            raise Refusal(FORBIDDEN, "A page of another site may not ask this node.")
        if headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"} and not (
            method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        ):
            raise Refusal(FORBIDDEN, "A page of another site may not ask this node.")

    def _check_right(self, headers: Headers, method: str) -> None:
        """By the token, or by the cookie; the cookie comes with every request, so its sender has to be known."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            if self.keyring.is_token(token.strip()):
                return
            raise Refusal(NO_TOKEN, "This is not the node's token: it is in the file web.token of its data folder.")
        if not self.keyring.is_cookie(self._cookie(headers)):
            raise Refusal(NO_TOKEN)
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise Refusal(FORBIDDEN, "A page of another site may not ask this node.")
        if method not in SAFE_METHODS and headers.get("origin") is None:
            raise Refusal(FORBIDDEN, "A request that changes something has to say where it comes from (Origin).")

    def _cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return ""
        return found.value if found else ""

    def _let_in(self, scope: Scope) -> Response:
        """Exchange a link for the cookie; a link that was used leads to the page, which says what to do."""
        response = RedirectResponse("/", status_code=303)
        said = QueryParams(scope.get("query_string", b"")).get("link", "")
        if scope["method"] == "GET" and self.keyring.use_link(said):
            response.set_cookie(
                self.cookie_name, self.keyring.cookie, max_age=COOKIE_LIFE_S, httponly=True, samesite="strict", path="/"
            )
        return response

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        is_static = not scope["path"].startswith("/api") and scope["path"] != LINK_PATH

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["content-security-policy"] = self.policy
                if not is_static:
                    headers["cache-control"] = "no-store"
            await send(message)

        return sending


@dataclass(frozen=True, slots=True)
class Bounded:
    """An application whose requests' bodies end at a bound: what is more is refused, said beforehand or not.

    What fails in the middle of an answer can be answered no more: it is logged, and the connection is cut.
    """

    application: ASGIApp
    upload_paths: frozenset[str]
    upload_bytes_most: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self.upload_bytes_most if scope["path"] in self.upload_paths else BODY_BYTES_MOST
        too_large = Refusal(TOO_LARGE, f"A request to this address has at most {most} bytes.")
        said = Headers(scope=scope).get("content-length", "0")
        if not said.isdigit() or int(said) > most:
            await response_to(too_large, scope["path"])(scope, receive, send)
            return
        taken = 0

        async def receiving() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > most:
                    raise too_large
            return message

        try:
            await self.application(scope, receiving, send)
        except Exception:
            log.exception("answer_failed", path=scope["path"])
            raise

"""The network port: who may ask, from where, how much; each attack is tried, beside what it must not keep out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from morphware.node.api.guard import BODY_BYTES_MOST
from morphware.node.api.http import CONNECTIONS_MOST
from morphware.node.api.links import LINK_LIFE_S, LINKS_MOST, TOKEN_FILE, Keyring, read_token
from morphware.node.api.server import PagePortTaken, listen_on
from tests.node.api.serving import TOKEN, UPLOAD_BYTES_MOST, Clock, Port, listening

ECHO = "/api/v1/echo?word=hello"
BEARER = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with listening() as port:
        yield port


async def kind_of(port: Port, headers: dict[str, str], method: str = "GET", **options: object) -> tuple[int, str]:
    path = ECHO if method == "GET" else "/api/v1/echo"
    response = await port.http.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
    said = response.json()
    return response.status_code, said.get("kind", said.get("word"))


# --- the token ------------------------------------------------------------------------------------------------------


async def test_a_program_with_the_token_is_answered(port: Port) -> None:
    assert await kind_of(port, BEARER) == (200, "hello")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {TOKEN[:-1]}0"},
        {"authorization": f"Bearer {TOKEN}0"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \u00e9".encode("latin-1").decode("latin-1")},
        {"cookie": f"morphware-test={TOKEN}"},
        {"cookie": "morphware-test="},
        {"cookie": "morphware-test=\x01; ===;;;"},
        {"cookie": f"other={TOKEN}"},
        {"x-forwarded-for": "127.0.0.1"},
    ],
)
async def test_nobody_else_is(port: Port, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = await port.http.get(ECHO, headers=encoded)
    assert (response.status_code, response.json()["kind"]) == (401, "no_token")
    assert "morphware dashboard" in response.json()["sentence"] or "web.token" in response.json()["sentence"]
    assert TOKEN not in response.text


async def test_what_may_only_be_asked_over_the_socket_is_refused_to_whoever_has_the_token(port: Port) -> None:
    response = await port.http.get("/api/v1/inside", headers=BEARER)
    assert (response.status_code, response.json()["kind"]) == (403, "forbidden")


def test_the_token_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    token = read_token(tmp_path)
    assert re.fullmatch("[0-9a-f]{64}", token)
    (tmp_path / TOKEN_FILE).chmod(0o644)
    assert read_token(tmp_path) == token
    assert (tmp_path / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / TOKEN_FILE).write_bytes(b"\xff\0 rubbish")
    assert read_token(tmp_path) not in (token, "")


# --- the link and the cookie ----------------------------------------------------------------------------------------


async def test_a_link_lets_one_browser_in_once(port: Port) -> None:
    link = port.keyring.new_link()
    first = await port.http.get(f"/open?link={link}")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert await kind_of(port, {"cookie": cookie.partition(";")[0]}) == (200, "hello")
    port.http.cookies.clear()
    again = await port.http.get(f"/open?link={link}")
    assert (again.status_code, "set-cookie" in again.headers) == (303, False)


@pytest.mark.parametrize("query", ["", "?link=", "?link=guess", "?link=%00", "?other=1"])
async def test_a_guessed_link_lets_nobody_in(port: Port, query: str) -> None:
    port.keyring.new_link()
    response = await port.http.get(f"/open{query}")
    assert (response.status_code, "set-cookie" in response.headers) == (303, False)


async def test_a_link_is_not_used_by_another_method(port: Port) -> None:
    link = port.keyring.new_link()
    await port.http.post(f"/open?link={link}", headers={"origin": port.origin})
    assert port.keyring.use_link(link)


def test_a_link_ends_after_a_minute_and_only_so_many_are_kept() -> None:
    clock = Clock()
    keyring = Keyring(TOKEN, clock)
    link = keyring.new_link()
    clock.now_s = LINK_LIFE_S
    assert not keyring.use_link(link)
    links = [keyring.new_link() for _ in range(LINKS_MOST + 1)]
    assert not keyring.use_link(links[0])
    assert keyring.use_link(links[1])


# --- other sites ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
async def test_a_name_that_resolves_to_this_machine_is_not_this_node(port: Port, host: str) -> None:
    """DNS rebinding: the browser believes that it talks to the attacker's site, and sends what it has for it."""
    named = host.format(port=port.host.rpartition(":")[2])
    assert await kind_of(port, BEARER | {"host": named}) == (421, "wrong_host")
    assert await kind_of(port, port.cookie | {"host": named}) == (421, "wrong_host")


async def test_the_node_is_called_by_its_own_names(port: Port) -> None:
    number = port.host.rpartition(":")[2]
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert await kind_of(port, BEARER | {"host": f"{name}:{number}"}) == (200, "hello")


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "https://{host}"},
        {"origin": "http://{host}.evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},  # another port of this machine
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
async def test_another_sites_page_may_not_ask_with_the_browsers_cookie(port: Port, said: dict[str, str]) -> None:
    headers = port.cookie | {name: value.format(host=port.host) for name, value in said.items()}
    assert await kind_of(port, headers) == (403, "forbidden")
    assert await kind_of(port, headers | JSON, "POST", content=b"{}") == (403, "forbidden")


async def test_a_request_that_changes_something_says_where_it_comes_from(port: Port) -> None:
    body = b'{"word": "hello"}'
    assert await kind_of(port, port.cookie | JSON, "POST", content=body) == (403, "forbidden")
    ours = port.cookie | JSON | {"origin": port.origin, "sec-fetch-site": "same-origin"}
    assert await kind_of(port, ours, "POST", content=body) == (200, "hello")
    assert await kind_of(port, BEARER | JSON, "POST", content=body) == (200, "hello"), "a program has no origin"


async def test_no_other_site_is_told_that_it_may_read(port: Port) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for response in (
        await port.http.options(ECHO, headers=asked),
        await port.http.get(ECHO, headers=BEARER | {"origin": "http://evil.example"}),
    ):
        assert response.status_code == 403
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_every_answer_says_what_the_browser_may_do_with_it(port: Port) -> None:
    for path in (ECHO, "/api/v1/nowhere", "/nowhere", "/api/v1/bug", "/open"):
        headers = (await port.http.get(path, headers=BEARER)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers.get("cache-control") == "no-store" or not path.startswith("/api")


# --- how much -------------------------------------------------------------------------------------------------------


async def test_a_body_that_says_that_it_is_too_large_is_refused_unread(port: Port) -> None:
    headers = BEARER | JSON | {"content-length": str(BODY_BYTES_MOST + 1)}
    stream = await trio.open_tcp_stream("127.0.0.1", int(port.host.rpartition(":")[2]))
    async with stream:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join(["POST /api/v1/echo HTTP/1.1", f"host: {port.host}", *lines, "", ""])
        await stream.send_all(request.encode())
        assert b" 413 " in await stream.receive_some()


class _Endless:
    """No generator: the answer comes before its end, and nobody would close it."""

    def __init__(self) -> None:
        self._left = 64

    def __aiter__(self) -> "_Endless":
        return self

    async def __anext__(self) -> bytes:
        self._left -= 1
        if not self._left:
            raise StopAsyncIteration
        return b" " * (BODY_BYTES_MOST // 16)


async def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_bound(port: Port) -> None:
    response = await port.http.post("/api/v1/echo", headers=BEARER | JSON, content=_Endless())
    assert (response.status_code, response.json()["kind"]) == (413, "too_large")
    assert f"at most {BODY_BYTES_MOST} bytes" in response.json()["sentence"]
    assert await kind_of(port, BEARER) == (200, "hello")


async def test_uploads_have_a_bound_of_their_own(port: Port) -> None:
    upload = BEARER | {"content-type": "multipart/form-data; boundary=x"}
    taken = await port.http.post("/api/v1/upload", headers=upload, content=b"x" * (2 * BODY_BYTES_MOST))
    assert (taken.status_code, taken.json()["number"]) == (200, 2 * BODY_BYTES_MOST)
    refused = await port.http.post("/api/v1/upload", headers=upload, content=b"x" * (UPLOAD_BYTES_MOST + 1))
    assert refused.status_code == 413


async def test_more_connections_than_there_are_places_are_closed_and_the_others_served(port: Port) -> None:
    number = int(port.host.rpartition(":")[2])
    streams = [await trio.open_tcp_stream("127.0.0.1", number) for _ in range(CONNECTIONS_MOST)]
    one_more = await trio.open_tcp_stream("127.0.0.1", number)
    with trio.fail_after(20):
        assert await one_more.receive_some() == b""
    for stream in (*streams, one_more):
        await stream.aclose()


async def test_whoever_is_gone_holds_no_place(port: Port) -> None:
    number = int(port.host.rpartition(":")[2])
    for _ in range(CONNECTIONS_MOST):
        await (await trio.open_tcp_stream("127.0.0.1", number)).aclose()
        async with await trio.open_tcp_stream("127.0.0.1", number) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: " + port.host.encode() + b"\r\n\r\n")
            assert await stream.receive_some(8) == b"HTTP/1.1"


async def test_a_port_that_is_taken_is_said(port: Port) -> None:
    with pytest.raises(PagePortTaken, match=r"set \[web\] listen"):
        await listen_on(port.host)


# --- what is asked --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "kind"),
    [
        ("GET", "/api/v1/nowhere", {}, None, 404, "not_found"),
        ("GET", "/api/v1/echo/", {}, None, 404, "not_found"),
        ("DELETE", "/api/v1/echo", {}, None, 405, "wrong_method"),
        ("GET", "/api/v1/echo?number=x", {}, None, 400, "bad_input"),
        ("GET", "/api/v1/echo?number=1&number=2", {}, None, 400, "bad_input"),
        ("GET", "/api/v1/echo?surprise=1", {}, None, 400, "bad_input"),
        ("GET", "/api/v1/echo?number=" + "9" * 5000, {}, None, 400, "bad_input"),
        ("POST", "/api/v1/echo", {}, b"{}", 415, "wrong_type"),
        ("POST", "/api/v1/echo", {"content-type": "text/plain"}, b"{}", 415, "wrong_type"),
        ("POST", "/api/v1/echo", JSON, b"", 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b"{", 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b"[" * 100_000, 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b"\xff\xfe", 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b'{"number": "1"}', 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b'{"number": ' + b"9" * 5000 + b"}", 400, "bad_input"),
        ("POST", "/api/v1/echo", JSON, b'{"surprise": 1}', 400, "bad_input"),
        ("GET", "/api/v1/bug", {}, None, 500, "failed"),
        ("GET", "/api/v1/fail", {}, None, 503, "unavailable"),
    ],
)
async def test_what_cannot_be_answered_is_a_problem_in_one_form(
    port: Port, method: str, path: str, headers: dict[str, str], body: bytes | None, status: int, kind: str
) -> None:
    response = await port.http.request(method, path, headers=BEARER | headers, content=body)
    problem = response.json()
    assert (response.status_code, problem["kind"]) == (status, kind)
    assert problem["sentence"].endswith(".")
    assert await kind_of(port, BEARER) == (200, "hello")


async def test_a_wrong_value_is_told_by_its_name(port: Port) -> None:
    response = await port.http.get("/api/v1/echo?number=x", headers=BEARER)
    assert response.json()["field"] == "number"
    response = await port.http.get("/api/v1/refuse", headers=BEARER)
    assert response.json() == {"kind": "bad_input", "sentence": "Ask for less.", "field": "number"}

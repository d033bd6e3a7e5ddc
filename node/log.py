"""Log lines: for people on a terminal, one JSON object each elsewhere; nothing in them can drive a terminal.

Values come from peers, chains and jobs, so control characters and escape sequences are written out (``\\x1b``), and
addresses of JSON-RPC endpoints lose their secrets.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog

from morphware.node.config import redact_url

Style = Literal["auto", "human", "json"]
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
VALUE_MAX_CHARACTERS: Final = 4096
"""Longer texts are cut: a hostile value must not fill the disk."""

_DEEPEST = 6
# C0, DEL and C1 steer terminals; line and paragraph separators break lines; direction marks reorder what is read.
_STEERING = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_WRITTEN_OUT = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _STEERING}


def configure_logging(
    *, level: str = "info", style: Style = "auto", node: str | None = None, stream: TextIO | None = None
) -> None:
    """Set up structlog and the standard library's logging (from WARNING on) to write to ``stream`` (stderr).

    Args:
        level: debug, info, warning or error.
        style: ``auto`` is ``human`` on a terminal and ``json`` elsewhere.
        node: bound to every line, so that the logs of several nodes can be told apart.
        stream: for tests.
    """
    stream = stream or sys.stderr
    is_human = style == "human" or (style == "auto" and stream.isatty())
    renderer: structlog.typing.Processor
    if is_human:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if is_human else "iso", utc=not is_human),
            structlog.processors.format_exc_info,
            _neutralise,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(LEVELS[level], logging.WARNING), force=True)
    if node is not None:
        structlog.contextvars.bind_contextvars(node=node)


def neutral(text: str) -> str:
    """The text with every character that steers a terminal written out."""
    return text.translate(_WRITTEN_OUT)


def _neutralise(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        # Our own traceback keeps its lines.
        neutral(key): _traceback(value) if key == "exception" else _plain(key, value, 0)
        for key, value in event.items()
    }


def _traceback(value: object) -> str:
    return "\n".join(neutral(line) for line in str(value).split("\n"))


def _plain(key: str, value: object, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        # Some readers of JSON cut integers above 2**53, which amounts in wei exceed.
        return str(value) if isinstance(value, int) and not -(2**53) < value < 2**53 else value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: VALUE_MAX_CHARACTERS // 2]).hex()
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {neutral(str(name)): _plain(str(name), inner, depth + 1) for name, inner in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_plain(key, inner, depth + 1) for inner in value]
    text = str(value) if isinstance(value, str | BaseException) or depth < _DEEPEST else "…"
    if key.endswith("url"):
        text = redact_url(text)
    return neutral(text if len(text) <= VALUE_MAX_CHARACTERS else text[:VALUE_MAX_CHARACTERS] + "…")


class _ToStructlog(logging.Handler):
    """Third-party lines go the same way as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for name, number in reversed(LEVELS.items()) if record.levelno >= number), "debug")
        log = structlog.get_logger()
        getattr(log, level)(
            "library_message", library=record.name, message=record.getMessage(), exc_info=record.exc_info
        )

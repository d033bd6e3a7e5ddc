"""Log lines carry what strangers said without letting it act."""

import io
import json
import logging

import pytest
import structlog

from morphware.node.log import VALUE_MAX_CHARACTERS, configure_logging, neutral


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_off_a_terminal_each_line_is_json_with_the_nodes_name(stream: io.StringIO) -> None:
    configure_logging(node="w1", stream=stream)
    structlog.get_logger().info("bid_revealed", price_wei=2**80, count=3, key=b"\x01\xff")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["node"]) == ("bid_revealed", "info", "w1")
    assert (line["price_wei"], line["count"], line["key"]) == (str(2**80), 3, "01ff")


@pytest.mark.parametrize("style", ["json", "human"])
def test_no_value_can_drive_the_terminal(stream: io.StringIO, style: str) -> None:
    configure_logging(style=style, stream=stream)  # type: ignore[arg-type]
    hostile = "\x1b[2J\x9b31m\r\n\u202egnp\x00\x07"
    structlog.get_logger().info("said" + hostile, text=hostile, **{"k" + hostile: {"in": [hostile]}})
    out = stream.getvalue()
    assert not any(steering in out.rstrip("\n") for steering in "\x1b\x9b\r\n\u202e\x00\x07")
    assert "x1b[2J" in out


def test_a_log_cannot_be_flooded_by_one_value(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    structlog.get_logger().info("said", text="x" * 10**6, raw=b"x" * 10**6)
    assert len(stream.getvalue()) < 3 * VALUE_MAX_CHARACTERS


def test_an_rpc_url_is_logged_without_its_secret(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    structlog.get_logger().info("connected", rpc_url="https://host/v3/KEY")
    assert "KEY" not in stream.getvalue()


def test_lines_below_the_level_are_dropped(stream: io.StringIO) -> None:
    configure_logging(level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    assert stream.getvalue() == ""


def test_libraries_speak_through_us_from_warning_on(stream: io.StringIO) -> None:
    configure_logging(level="info", stream=stream)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("beware %s", "\x1b[31m")
    line = json.loads(stream.getvalue())
    assert (line["library"], line["level"], line["message"]) == ("some.library", "warning", "beware \\x1b[31m")


def test_a_traceback_is_kept_with_its_lines(stream: io.StringIO) -> None:
    configure_logging(style="human", stream=stream)
    try:
        raise ValueError("bad \x1b[2J")
    except ValueError:
        structlog.get_logger().exception("job_failed")
    assert "Traceback" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


def test_plain_text_stays_as_it_is() -> None:
    assert neutral("Grüße, 世界, ok") == "Grüße, 世界, ok"

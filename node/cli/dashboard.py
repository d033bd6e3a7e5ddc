"""``morphware dashboard``: lets one browser of this machine into the running node's page."""

import json
import os
import sys
import webbrowser
from pathlib import Path

from morphware.node.cli.submit import data_folder_of
from morphware.node.client import Client
from morphware.node.errors import ExitStatus


def open_dashboard(data_folder: Path | None, *, is_browser_wanted: bool, as_json: bool) -> int:
    """Ask the node for a link, print it, and open it where there is a browser."""
    link = Client(data_folder_of(data_folder)).link()
    has_opened = is_browser_wanted and _has_screen() and _open(link)
    if as_json:
        sys.stdout.write(json.dumps({"url": link, "is_opened": has_opened}) + "\n")
        return ExitStatus.SUCCESS
    said = "The page opens in your browser." if has_opened else "Open this address in a browser of this machine."
    sys.stdout.write(f"{link}\n{said} The address lets one browser in, once, within a minute.\n")
    return ExitStatus.SUCCESS


def _has_screen() -> bool:
    """A browser in a terminal would take the terminal, and none of them runs the page."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(link: str) -> bool:
    try:
        return webbrowser.open(link)
    except (webbrowser.Error, OSError):
        return False

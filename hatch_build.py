"""Looks, while a wheel or a source archive is built, whether the web page's parts by other projects are there.

They are no part of the repository: scripts/fetch_web takes them from npm. A wheel without them would install a node
whose page is empty, so none is made.
"""

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageParts(BuildHookInterface):
    """Refuses to build without the files that node/web/package.json names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable installation comes before the set-up that fetches them, and may go without."""
        if version == "editable":
            return
        web = Path(self.root) / "node" / "web"
        pinned = json.loads((web / "package.json").read_text(encoding="utf-8"))
        wanted = {name: pinned["fetched"][name] for name in pinned["dependencies"]}
        vendor = web / "static" / "vendor"
        listed = vendor / "fetched.json"
        fetched = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else None
        files = [vendor / file for package in wanted.values() for file in package["files"].values()]
        if fetched != wanted or not all(file.is_file() for file in files):
            msg = "The web page's parts are not here, or are of other versions: run `make setup`, then build again."
            raise RuntimeError(msg)
        build_data["artifacts"].append("node/web/static/vendor/*")

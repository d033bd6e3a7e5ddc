"""What this program is called where it was started."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """The words that call it in this shell: ``morphware`` if that is found there, else the path that was typed."""
    called = sys.argv[0]
    is_ours = Path(called).name == "morphware" and os.access(called, os.X_OK)
    return "morphware" if shutil.which("morphware") or not is_ours else shlex.quote(called)

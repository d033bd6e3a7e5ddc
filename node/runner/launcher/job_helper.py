"""The module that a job gets for ``import morphware``: ``morphware.log(step=3, loss=0.1)``.

It never blocks training and never raises: rows go into a buffer, then as JSON lines down a non-blocking pipe every
50 ms, and are dropped when the node does not keep up.  What a job logs is a display, never a proof.
"""

import contextlib
import importlib.machinery
import json
import math
import os
import sys
import threading
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

PERIOD_S: Final = 0.05
BATCH_ROWS: Final = 512
FINAL_FLUSH_S: Final = 2.0

_lock = threading.Lock()
_rows: list[tuple[int, float, dict[str, Any], str]] = []
_state: dict[str, Any] = {"descriptor": None, "pid": 0, "flushed": 0.0, "step": 0, "has_logged": False}


def log(step: int | None = None, **values: Any) -> None:
    """Record scalars for a step (without ``step``: one more than the last). Tensors become numbers in batches."""
    if values:
        _state["has_logged"] = True
        _record(step, values, "log")


def start(descriptor: int) -> None:
    """Open the pipe, and tell the node that the launcher is at work (all that follows is the job's own doing)."""
    os.set_blocking(descriptor, False)
    os.set_inheritable(descriptor, False)
    _state.update(descriptor=descriptor, pid=os.getpid())
    os.write(descriptor, b'"started"\n')


def stop() -> None:
    """Send what is left, waiting a little for a slow reader."""
    _flush(until=time.monotonic() + FINAL_FLUSH_S)


def watch_backward() -> None:
    """Record every scalar on which ``backward()`` is called, until the job logs by itself; torch is imported later."""
    sys.meta_path.insert(0, _TorchFinder())


def _record(step: int | None, values: dict[str, Any], source: str) -> None:
    if _state["descriptor"] is None or os.getpid() != _state["pid"]:  # DataLoader workers stay silent
        return
    chosen = _state["step"] if step is None else step
    if not isinstance(chosen, int):
        try:
            chosen = int(chosen)
        except (TypeError, ValueError, OverflowError):
            return
    _state["step"] = chosen + 1
    detached = {name: value.detach() if hasattr(value, "detach") else value for name, value in values.items()}
    _rows.append((chosen, time.time(), detached, source))
    if time.monotonic() - _state["flushed"] > PERIOD_S or len(_rows) >= BATCH_ROWS:
        _flush()


def _flush(until: float = 0.0) -> None:
    if os.getpid() != _state["pid"]:
        return
    with _lock:
        _state["flushed"] = time.monotonic()
        lines = [json.dumps([step, round(at, 3), _numbers(values), source]) for step, at, values, source in _rows]
        _rows.clear()
        data = memoryview("".join(line + "\n" for line in lines).encode())
        whole = len(data)
        while data:
            try:
                data = data[os.write(_state["descriptor"], data) :]
            except BlockingIOError:
                # A batch that has not begun is dropped; one that has must end, or the next line would be garbage.
                if len(data) == whole and time.monotonic() > until:
                    return
                time.sleep(0.002)
            except OSError:
                return


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    for name, value in values.items():
        with contextlib.suppress(TypeError, ValueError, RuntimeError, OverflowError):
            number = float(value)
            if math.isfinite(number):
                numbers[str(name)] = number
    return numbers


class _TorchFinder:
    """Patches torch once, when the job imports it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def load_and_patch(module: ModuleType) -> None:
            load(module)
            _patch(module)

        spec.loader.exec_module = load_and_patch  # type: ignore[method-assign]
        return spec


def _patch(torch: Any) -> None:
    original = torch.Tensor.backward

    def backward(self: Any, *arguments: Any, **options: Any) -> Any:
        if not _state["has_logged"] and self.numel() == 1:
            _record(None, {"loss": self}, "backward")
        return original(self, *arguments, **options)

    torch.Tensor.backward = backward

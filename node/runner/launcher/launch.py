"""The first program inside the sandbox: give up what must be given up, then run one phase of the user's job.

``argv[1]`` is a JSON object: ``phase`` (train, predict, test), ``entry`` (path inside ``/job/code``), ``uid`` (to turn
into, or null), ``metrics`` (descriptor of the metric pipe), ``limits`` (resource limits by name).  Until ``_drop`` has
returned, nothing of the job has been read.
"""

import ctypes
import importlib.util
import inspect
import json
import os
import resource
import runpy
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CODE = Path("/job/code")
PR_SET_DUMPABLE = 4


def main() -> None:
    spec = json.loads(sys.argv[1])
    helpers = {name: _load(name) for name in ("notebook", "job_helper", "answers")}
    _limit(spec["limits"])
    if spec["uid"] is not None:
        _drop(spec["uid"])
    os.chdir(os.environ["MORPHWARE_OUTPUT_DIR"])  # not by bwrap, which may not enter the job's own folder any more
    sys.path[:] = [path for path in sys.path if Path(path) != HERE]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    helper = helpers["job_helper"]
    sys.modules["morphware"] = helper  # answers the job's `import morphware`
    helper.start(spec["metrics"])
    if spec["phase"] == "train":
        helper.watch_backward()
    try:
        _Phase(CODE / spec["entry"], helpers["notebook"], helpers["answers"]).run(spec["phase"])
    finally:
        helper.stop()


def _load(name: str) -> Any:
    """A file beside this one, as a module that the job's own files cannot be mistaken for."""
    found = importlib.util.spec_from_file_location(f"morphware_{name}", HERE / f"{name}.py")
    if found is None or found.loader is None:
        raise SystemExit(f"the launcher misses its own {name}.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
        os.nice(5)
    except OSError:
        pass  # a politeness: the watchdog enforces the limits


def _drop(uid: int) -> None:
    """Turn into a user who owns nothing, for good: without capabilities there is no way back."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    nothing = (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing) != 0 or os.getresuid() != (uid, uid, uid):
        raise SystemExit("the launcher could not give up its rights")
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self belongs to root, and torch cannot read it


class _Phase:
    """One phase of one script or notebook."""

    def __init__(self, path: Path, notebook: Any, answers: Any) -> None:
        self.path = path
        self.notebook = notebook
        self.answers = answers
        sys.path.insert(0, str(path.parent))
        if path.parent != CODE:
            sys.path.insert(1, str(CODE))
        sys.argv = [str(path)]

    def run(self, phase: str) -> None:
        if phase == "train":
            self._train()
            return
        namespace = self._definitions(phase)
        named = [namespace.get(phase), namespace.get("evaluate") if phase == "test" else None]
        function = next((each for each in named if callable(each)), None)
        if function is None:
            raise SystemExit(f"{self.path.name} defines no {phase}(model_dir, test_dir)")
        answer = function(os.environ["MORPHWARE_MODEL_DIR"], os.environ["MORPHWARE_TEST_DIR"])
        folder = Path(os.environ["MORPHWARE_OUTPUT_DIR"])
        if phase == "predict":
            self.answers.save_predictions(answer, folder)
        else:
            self.answers.save_result(answer, folder)

    def _train(self) -> None:
        if self.path.suffix == ".ipynb":
            source = self.notebook.script(self.path, "train", self._parameters())
            namespace = self._execute(source, self.notebook.module(source, str(self.path)), "__main__")
        else:
            source = self.path.read_text(encoding="utf-8")
            namespace = runpy.run_path(str(self.path), run_name="__main__")
        function = namespace.get("train")
        if callable(function) and not self.notebook.has_main_guard(source) and self._may_call(function):
            function(os.environ["MORPHWARE_TRAIN_DIR"], os.environ["MORPHWARE_MODEL_DIR"])

    def _may_call(self, function: Callable[..., Any]) -> bool:
        """``train`` is ours to call when it takes two folders, and the script has not trained by itself already."""
        try:
            inspect.signature(function).bind("train_dir", "model_dir")
        except (TypeError, ValueError):
            return False
        return not any(Path(os.environ["MORPHWARE_MODEL_DIR"]).iterdir())

    def _definitions(self, phase: str) -> dict[str, Any]:
        """The job's names without training again: a guarded script whole, anything else by its definitions alone."""
        if self.path.suffix == ".ipynb":
            source = self.notebook.script(self.path, phase, self._parameters())
            is_whole = self.notebook.is_tagged(self.path)
        else:
            source = self.path.read_text(encoding="utf-8")
            is_whole = self.notebook.has_main_guard(source)
        tree = self.notebook.module(source, str(self.path))
        if not is_whole:
            tree = self.notebook.definitions(tree)
        return self._execute(source, tree, "algorithm")

    def _execute(self, source: str, tree: Any, name: str) -> dict[str, Any]:
        import linecache

        shown = str(self.path) + (".py" if self.path.suffix == ".ipynb" else "")
        linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)
        module = types.ModuleType(name)
        module.__file__ = str(self.path)
        sys.modules[name] = module
        exec(compile(tree, shown, "exec"), module.__dict__)  # noqa: S102 - running the job is what we are for
        return module.__dict__

    def _parameters(self) -> dict[str, Any]:
        import tomllib

        settings = CODE / "morphware.toml"
        if not settings.is_file():
            return {}
        parameters = tomllib.loads(settings.read_text(encoding="utf-8")).get("parameters", {})
        return dict(parameters) if isinstance(parameters, dict) else {}


if __name__ == "__main__":
    main()

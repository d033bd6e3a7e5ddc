"""Notebook to script, and script to its definitions: pure parsing, used inside the sandbox and by the inspection.

Cell tags: ``parameters`` (the job's ``[parameters]`` are injected after it), ``train`` (left out when evaluating),
``test`` (left out when training), ``skip`` (always left out).  Magics and shell escapes become comments, because there
is no IPython in the sandbox.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

TAGS: Final = frozenset({"parameters", "train", "test", "skip"})
BODY_MAGICS: Final = frozenset({"time", "timeit", "capture", "prun"})
"""Cell magics whose body is Python; any other (``%%bash``) takes its cell along."""

HARMLESS_CALLS: Final = frozenset({
    "list", "dict", "set", "tuple", "frozenset", "range", "len", "str", "int", "float", "bool", "sorted", "zip", "map",
    "enumerate", "chr", "ord", "min", "max", "sum", "round", "abs", "Path", "pathlib.Path", "os.getenv",
    "os.environ.get", "os.path.join", "os.path.dirname", "os.path.abspath", "os.path.basename", "torch.device",
    "np.array", "numpy.array", "namedtuple", "collections.namedtuple", "TypeVar", "logging.getLogger", "re.compile",
})  # fmt: skip
"""Calls that may stay in an assignment when only definitions are kept: cheap, and without effects."""


class Cell(NamedTuple):
    """One code cell."""

    number: int
    tags: frozenset[str]
    source: str


def cells(path: Path) -> Iterator[Cell]:
    """Code cells in order.

    Raises:
        ValueError: the file is not a notebook of format 4.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for number, cell in enumerate(notebook["cells"]):
            if cell["cell_type"] == "code":
                tags = frozenset(str(tag) for tag in cell.get("metadata", {}).get("tags", ()))
                yield Cell(number, tags, cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"]))
    except (KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a notebook of format 4 ({type(error).__name__}: {error})") from error


def is_tagged(path: Path) -> bool:
    """Whether the author marked the training cells, so that every other cell may run when evaluating."""
    return any("train" in cell.tags for cell in cells(path))


def script(path: Path, phase: str, parameters: Mapping[str, Any] | None = None) -> str:
    """The notebook as one script for a phase."""
    injected = "\n".join(f"{name} = {value!r}" for name, value in (parameters or {}).items() if name.isidentifier())
    parts: list[str] = []
    is_injected = False
    for cell in cells(path):
        if "skip" in cell.tags or ("test" in cell.tags and phase == "train"):
            continue
        if "train" in cell.tags and phase != "train":
            continue
        parts.append(f"# cell {cell.number}\n{neutralised(cell.source)}")
        if "parameters" in cell.tags and injected:
            parts.append(injected)
            is_injected = True
    if injected and not is_injected:
        parts.insert(0, injected)
    return "\n\n".join(parts) + "\n"


def neutralised(source: str) -> str:
    """The cell without IPython's additions; the number of lines stays."""
    lines = source.split("\n")
    if lines[0].lstrip().startswith("%%"):
        magic = (lines[0].lstrip()[2:].split() or [""])[0]
        lines = ["# " + line if index == 0 or magic not in BODY_MAGICS else line for index, line in enumerate(lines)]
    kept = []
    for line in lines:
        text = line.lstrip()
        margin = line[: len(line) - len(text)]
        if re.match(r"%[A-Za-z]|!|\?", text):
            kept.append(f"{margin}pass  # {text}")
        elif match := re.match(r"([A-Za-z_]\w*)\s*=\s*(?:%[A-Za-z]|!)", text):
            kept.append(f"{margin}{match[1]} = None  # {text}")
        elif re.fullmatch(r"[\w.]+\?{1,2}", text.rstrip()):
            kept.append(f"{margin}pass  # {text}")
        else:
            kept.append(line)
    return "\n".join(kept)


def module(source: str, name: str) -> ast.Module:
    """Parse. Raises ``SyntaxError`` with the line's number."""
    return ast.parse(source, filename=name)


def has_main_guard(source: str) -> bool:
    """Whether a top-level ``if __name__ == ...`` keeps the training from running on import."""
    return any(
        isinstance(node, ast.If)
        and any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
        for node in ast.parse(source).body
    )


def definitions(tree: ast.Module) -> ast.Module:
    """Imports, functions, classes and assignments without effects: what ``predict`` needs, and nothing that trains.

    What reads a name that is left out is left out, too: ``labels = table["label"]`` has no effects, but without the
    table it would fail.
    """
    body: list[ast.stmt] = []
    given: set[str] = set()
    lost: set[str] = set()
    for node in tree.body:
        names = _gives(node)
        if _defines(node) and not lost & _reads(node):
            body.append(node)
            given |= names
            lost -= names
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            lost |= names
        else:  # which may do nothing here: what a definition gave stays
            lost |= names - given
    return ast.Module(body=body, type_ignores=[])


def _gives(node: ast.stmt) -> set[str]:
    """The names that a statement gives values to."""
    if isinstance(node, ast.ClassDef):
        return {node.name}
    names: set[str] = set()
    for part in _at_once(node):
        match part:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case _:
                pass
    return names - _loop_names(node)


def _reads(node: ast.stmt) -> set[str]:
    """The names that have to be there when a statement runs."""
    read = {part.id for part in _at_once(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
    own = {part.id for part in _at_once(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return read - (own if isinstance(node, ast.ClassDef) else _loop_names(node))


def _loop_names(node: ast.AST) -> set[str]:
    """The names of comprehensions, which are theirs alone."""
    targets = [part.target for part in _at_once(node) if isinstance(part, ast.comprehension)]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def _at_once(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a statement that are worked out when it runs: of functions their defaults, and not their bodies."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        yield part
        match part:
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
                waiting += [args, *part.decorator_list]
            case ast.Lambda(args=args):
                waiting.append(args)
            case _:
                waiting += ast.iter_child_nodes(part)


def _defines(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            return all(_is_plain(target) for target in targets) and _is_harmless(node.value)
        case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
            inner = [*body, *orelse, *finalbody, *(part for handler in handlers for part in handler.body)]
            return all(isinstance(part, ast.Pass) or _defines(part) for part in inner)
        case ast.If(test=test, body=body, orelse=orelse):
            return _is_harmless(test) and all(isinstance(p, ast.Pass) or _defines(p) for p in (*body, *orelse))
        case _:
            return False


def _is_plain(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (
        isinstance(target, ast.Tuple | ast.List) and all(_is_plain(part) for part in target.elts)
    )


def _is_harmless(value: ast.expr | None) -> bool:
    for part in ast.walk(value) if value is not None else ():
        if isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(part, ast.Call) and ast.unparse(part.func) not in HARMLESS_CALLS:
            is_text_method = isinstance(part.func, ast.Attribute) and isinstance(part.func.value, ast.Constant)
            if not is_text_method:
                return False
    return True

"""Provenance of code: a stage is done again when the code that it runs has changed, and only then.

Snakemake does not look into the modules that a script imports, so every rule states a hash of its code as a parameter.
What that code is, is computed from the source and listed nowhere: starting at the rule's script, every definition (a
function, a class, a constant) whose name the code mentions, in whatever module of ours it stands, with all that these
mention in turn. So a function counts for those who use it, and for nobody else, however many share its module.

Of a registry, a dictionary that chooses by kind such as `METHODS`, a rule says which keys it uses; only these count.

What a script says counts, how it says it does not: comments, docstrings, layout, annotations of functions and the order
of definitions have no part in the hash, and Python 3.11 to 3.14 give the same one.

Names must be found by reading, so the library has no star imports, no `import_module` and no `__import__`; what stands
at the top of a module and is no definition (an `if`, a call) counts for everyone who imports the module.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phenoviews.errors import UserError
from phenoviews.files import read_json, write_json

SCRIPTS = Path(__file__).parents[2]

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORT = (ast.Import, ast.ImportFrom)
# Fields of a node that say nothing of what it does; `kind` is the u of u"text".
_SILENT = ("ctx", "type_comment", "kind")


class UnreadableCode(Exception):
    """Code whose dependencies cannot be found by reading it."""


def code_hash(root: str, chosen: Mapping[str, Collection[str]] | None = None, scripts: Path = SCRIPTS) -> str:
    """A hash of the code that is reached from `root`; see `reached`."""
    frozen = tuple(sorted((registry, tuple(sorted(keys))) for registry, keys in (chosen or {}).items()))
    return _code_hash(root, frozen, scripts)


@functools.cache
def _code_hash(root: str, chosen: tuple[tuple[str, tuple[str, ...]], ...], scripts: Path) -> str:
    digest = hashlib.sha256()
    for name, text in sorted(_texts(_Reader(root, dict(chosen), scripts)).items()):
        digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:16]


def reached(
    root: str, chosen: Mapping[str, Collection[str]] | None = None, scripts: Path = SCRIPTS
) -> dict[str, set[str]]:
    """The code that runs when `root` does: {module: the names of its definitions that are reached}.

    Args:
        root: a script, relative to `scripts` ("pretrain.py"), or a definition ("phenoviews.training.loop:Trainer").
        chosen: {registry ("phenoviews.methods.METHODS"): the keys of it that are used}. Of another registry all are.
        scripts: the folder of the scripts and of the library.

    Returns:
        Every module of ours that is imported, by the script or by what it imports, at the top or inside a function;
        with no names where nothing of it is reached.

    Raises:
        UnreadableCode: a module or definition that is not there, a key that a registry has not, a star import.
    """
    reader = _Reader(root, {registry: tuple(keys) for registry, keys in (chosen or {}).items()}, scripts)
    return {module: set(names) for module, names in reader.found.items()}


class Hashes:
    """`code_hash`, with what it found kept in `file` for later calls, for as long as no source changes."""

    def __init__(self, file: Path, scripts: Path = SCRIPTS):
        self.file, self.scripts, self.sources = file, scripts, _sources(scripts)
        try:
            kept = read_json(file)
        except (OSError, ValueError):
            kept = {}
        self.found: dict[str, str] = kept["found"] if kept.get("sources") == self.sources else {}
        self.more = False

    def __call__(self, root: str, chosen: Mapping[str, Collection[str]] | None = None) -> str:
        asked = json.dumps([root, sorted((registry, sorted(keys)) for registry, keys in (chosen or {}).items())])
        if asked not in self.found:
            self.found[asked], self.more = code_hash(root, chosen, self.scripts), True
        return self.found[asked]

    def keep(self) -> None:
        """Write what is new, unless a source has been edited meanwhile or nothing can be written here."""
        if self.more and _sources(self.scripts) == self.sources:
            with contextlib.suppress(OSError, UserError):
                write_json(self.file, {"sources": self.sources, "found": self.found})


def _sources(scripts: Path) -> str:
    """A hash of all files that code is read from."""
    digest = hashlib.sha256()
    for file in sorted(scripts.rglob("*.py")):
        digest.update(f"{file.relative_to(scripts)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def registered(registry: str, scripts: Path = SCRIPTS) -> list[str]:
    """The keys of a registry ("phenoviews.methods.METHODS"), read without importing it.

    Raises:
        UnreadableCode: no such registry, or one that is not written down at once.
    """
    module, _, name = registry.rpartition(".")
    return list(_written(_read(scripts, module).definitions.get(name, []), registry))


@dataclass
class _Module:
    """A module as it is read: what its names stand for.

    `imports`: local name → what it may be: (module, None), or (module, the name there). `modules`: all that importing
    it, or calling what is in it, imports. `always`: statements at the top that are no definitions.
    """

    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, set[tuple[str, str | None]]] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    always: list[ast.stmt] = field(default_factory=list)


# What is reached: a definition, (module, its name), or all of a module, (module, None).
_Place = tuple[str, str | None]


class _Reader:
    """Reads from the root on. `found`: as `reached` returns it."""

    def __init__(self, root: str, chosen: Mapping[str, tuple[str, ...]], scripts: Path):
        self.scripts, self.chosen = scripts, chosen
        self.found: dict[str, set[str]] = {}
        start, _, name = root.partition(":")
        module = start.removesuffix(".py")
        if _file(scripts, module) is None:
            raise UnreadableCode(f"no code at {scripts / start}")
        seen: set[_Place] = set()
        left: set[_Place] = {(module, name or None)}
        while left:
            place = left.pop()
            seen.add(place)
            left |= self._next(*place) - seen
        for registry in chosen:
            where, _, name = registry.rpartition(".")
            if name not in _read(scripts, where).definitions:
                raise UnreadableCode(f"{where} defines no registry {name}")

    def definition(self, module: str, name: str) -> _Said:
        """What a definition says; of a registry what is chosen of it."""
        return _definition(self.scripts, module, name, self.chosen.get(f"{module}.{name}"))

    def _next(self, module: str, name: str | None) -> set[_Place]:
        """What a place leads to at once."""
        if _file(self.scripts, module) is None:
            return set()  # a library's
        reached: set[_Place] = set()
        # The module and all that it imports are loaded, and what stands at their top is run.
        for loaded in _loaded(self.scripts, module):
            if loaded not in self.found:
                self.found[loaded] = set()
                reached |= _always(self.scripts, loaded).reaches
        read = _read(self.scripts, module)
        if name is None:
            reached |= {(module, one) for one in read.definitions}
        elif name in read.definitions:
            self.found[module].add(name)
            reached |= self.definition(module, name).reaches
        elif name in read.imports:
            reached |= set(_followed(self.scripts, module, (name,)))
        elif _file(self.scripts, f"{module}.{name}"):
            reached.add((f"{module}.{name}", None))
        return reached


@functools.cache
def _loaded(scripts: Path, module: str) -> tuple[str, ...]:
    """The module and all of ours that importing it imports."""
    found: set[str] = set()
    left = {module}
    while left:
        one = left.pop()
        found.add(one)
        left |= _imported(scripts, one) - found
    return tuple(found)


@functools.cache
def _imported(scripts: Path, module: str) -> frozenset[str]:
    """What of ours a module imports itself."""
    return frozenset(one for one in (*_above(module), *_read(scripts, module).modules) if _file(scripts, one))


def _followed(scripts: Path, module: str, chain: tuple[str, ...]) -> Iterator[_Place]:
    """`chain`: an imported name and the attributes that are taken of it, as far as they are names."""
    for source, name in _read(scripts, module).imports[chain[0]]:
        where, rest = source, chain[1:]
        if name is not None:
            if _file(scripts, f"{source}.{name}") is None or name in _read(scripts, source).definitions:
                yield source, name
                continue
            where = f"{source}.{name}"
        while rest and _file(scripts, f"{where}.{rest[0]}"):
            where, rest = f"{where}.{rest[0]}", rest[1:]
        # Where a module itself is handed on, anything in it may be used.
        yield where, rest[0] if rest else None


def _texts(reader: _Reader) -> dict[str, str]:
    texts = {module: _always(reader.scripts, module).text for module in reader.found}
    texts = {module: text for module, text in texts.items() if text}
    for module, names in reader.found.items():
        texts |= {f"{module}:{name}": reader.definition(module, name).text for name in names}
    return texts


@dataclass(frozen=True)
class _Said:
    """What a piece of code says: a text that is the same in every Python, and what it mentions."""

    text: str
    reaches: frozenset[_Place]

    @classmethod
    def of(cls, nodes: Sequence[ast.AST], scripts: Path, module: str) -> _Said:
        read = _read(scripts, module)
        reaches: set[_Place] = set()
        for chain in set(_chains(list(nodes))):
            if chain[0] in read.definitions:
                reaches.add((module, chain[0]))
            if chain[0] in read.imports:
                reaches |= set(_followed(scripts, module, chain))
        return cls("\n".join(map(_said, nodes)), frozenset(reaches))


@functools.cache
def _definition(scripts: Path, module: str, name: str, keys: tuple[str, ...] | None) -> _Said:
    found = _read(scripts, module).definitions[name]
    return _Said.of(found if keys is None else _entries(found, keys, f"{module}.{name}"), scripts, module)


@functools.cache
def _always(scripts: Path, module: str) -> _Said:
    return _Said.of(_read(scripts, module).always, scripts, module)


@functools.cache
def _file(scripts: Path, module: str) -> Path | None:
    """The file of a module of ours."""
    base = scripts / module.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _above(module: str) -> Iterator[str]:
    """`a` and `a.b` of `a.b.c`."""
    parts = module.split(".")
    for number in range(1, len(parts)):
        yield ".".join(parts[:number])


@functools.cache
def _read(scripts: Path, module: str) -> _Module:
    file = _file(scripts, module)
    if file is None:
        raise UnreadableCode(f"no module {module} in {scripts}")
    tree = _Plain().visit(ast.parse(file.read_bytes(), filename=str(file)))
    read = _Module()
    for node in _without_type_checking(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                target = alias.name if alias.asname else local
                read.imports.setdefault(local, set()).add((target, None))
                read.modules.add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise UnreadableCode(f"{file}:{node.lineno}: a relative import; write the whole name")
            for alias in node.names:
                if alias.name == "*" and _file(scripts, node.module):
                    raise UnreadableCode(f"{file}:{node.lineno}: a star import; name what is used")
                read.imports.setdefault(alias.asname or alias.name, set()).add((node.module, alias.name))
                read.modules |= {node.module, f"{node.module}.{alias.name}"}
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            raise UnreadableCode(f"{file}:{node.lineno}: an import by a name that is computed; use a registry")
    for statement in tree.body:
        if isinstance(statement, _IMPORT) or _is_docstring(statement) or _is_type_checking(statement):
            continue
        names = _defined(statement)
        for name in names:
            read.definitions.setdefault(name, []).append(statement)
        if not names:
            read.always.append(statement)
    return read


def _without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    left = [tree]
    while left:
        found = [node for node in ast.iter_child_nodes(left.pop()) if not _is_type_checking(node)]
        yield from found
        left += found


def _is_type_checking(node: ast.AST) -> bool:
    return type(node) is ast.If and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_docstring(statement: ast.AST) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _defined(statement: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines; none where it does something else as well."""
    if isinstance(statement, (*_FUNCTION, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AugAssign):
        targets = [statement.target]
    else:
        return []
    flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
    names = [target.id for target in flat if isinstance(target, ast.Name)]
    return names if len(names) == len(flat) else []


def _written(found: Sequence[ast.stmt], registry: str) -> dict[str, ast.expr]:
    """A registry as it is written down."""
    value = getattr(found[0], "value", None) if len(found) == 1 else None
    keys = [key.value for key in value.keys if isinstance(key, ast.Constant)] if isinstance(value, ast.Dict) else []
    if not isinstance(value, ast.Dict) or len(keys) != len(value.keys):
        raise UnreadableCode(f"{registry} is no dictionary that is written down at once")
    return {str(key): entry for key, entry in zip(keys, value.values, strict=True)}


def _entries(found: list[ast.stmt], keys: Collection[str], registry: str) -> list[ast.AST]:
    """Of a registry the entries under `keys`."""
    entries = _written(found, registry)
    missing = [key for key in keys if key not in entries]
    if missing:
        raise UnreadableCode(f"{registry} has no {', '.join(missing)}")
    return [ast.Tuple([ast.Constant(key), entries[key]], ast.Load()) for key in sorted(keys)]


class _Plain(ast.NodeTransformer):
    """Takes out of a tree what says nothing of what it does: docstrings, and annotations but those of a class's fields
    (a dataclass reads them)."""

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.body, node.returns = _without_docstring(node.body), None
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        fields = [statement for statement in node.body if isinstance(statement, ast.AnnAssign)]
        annotations = [statement.annotation for statement in fields]
        node.body = [self.visit(statement) if statement not in fields else statement for statement in node.body]
        for statement, annotation in zip(fields, annotations, strict=True):
            statement.annotation = annotation
        node.body = _without_docstring(node.body)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if node.value is None else ast.Assign([node.target], self.visit(node.value))

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(node.arg)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Pythons differ in how many pieces an f-string's plain text comes in."""
        self.generic_visit(node)
        parts: list[ast.expr] = []
        for value in node.values:
            if isinstance(value, ast.Constant) and parts and isinstance(parts[-1], ast.Constant):
                parts[-1] = ast.Constant(str(parts[-1].value) + str(value.value))
            elif not (isinstance(value, ast.Constant) and value.value == ""):
                parts.append(value)
        node.values = parts
        return node


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    return body[1:] if body and _is_docstring(body[0]) else body


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    """The fields of a node that say something; a later Python knows of more that may be empty."""
    for name in node._fields:
        value = getattr(node, name, None)
        if value is not None and value != [] and name not in _SILENT:
            yield name, value


def _said(node: object) -> str:
    """What a node says, in a form that is the same in every Python."""
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__}:{node.value!a}"
    if isinstance(node, ast.AST):
        return f"{type(node).__name__}({','.join(f'{name}={_said(value)}' for name, value in _fields(node))})"
    if isinstance(node, list):
        return f"[{','.join(map(_said, node))}]"
    return ascii(node)


def _chains(node: object) -> Iterator[tuple[str, ...]]:
    """The names that a node mentions, each with the attributes that are taken of it: `a.b.c` is (a, b, c)."""
    if isinstance(node, list):
        for item in node:
            yield from _chains(item)
    elif isinstance(node, ast.Name):
        yield (node.id,)
    elif isinstance(node, ast.Attribute):
        chain: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield (inner.id, *reversed(chain))
        else:
            yield from _chains(inner)
    elif isinstance(node, ast.AST):
        for _, value in _fields(node):
            yield from _chains(value)

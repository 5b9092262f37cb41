"""One writer per field, and one maker per message.

A *write* is an assignment, a `del`, a container's mutating method, or a noun's own method that
writes its fields, on anything reached from `state.<noun>`: directly, through a local name for a
part of it (`slot = state.log.slot(n)`), in a loop over it, or through a parameter whose type is
defined in the noun's module. The table `WRITERS` says who may.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.architecture.modules import Module, calls, within

STATE = "pbft.core.state.replica_state"
PROTOCOL = "pbft.core.protocol"
MESSAGES = "pbft.core.messages"
CLIENT = frozenset({"pbft.client_session", "pbft.receipts", "pbft.tickets"})
TWO_MAKERS = {
    # proposed in the normal case, or as part of a NEW-VIEW
    "PrePrepare": frozenset({"pbft.core.protocol.ordering", "pbft.core.protocol.view_change"}),
    # the envelope of a signed pre-prepare: sent once, and again to whoever missed it
    "Proposal": frozenset({"pbft.core.protocol.ordering", "pbft.core.protocol.retransmission"}),
    # told to a laggard, and to one who asks for a snapshot that is gone
    "StableProof": frozenset(
        {"pbft.core.protocol.retransmission", "pbft.core.protocol.state_transfer"}
    ),
}
"""The messages that more than one module makes, and why."""
REPORTS = frozenset({"drops", "evidence"})
"""Reports for people, which any module adds to and no rule reads."""

MUTATORS = frozenset(
    {
        *("append", "appendleft", "extend", "insert", "add", "update", "setdefault", "pop"),
        *("popleft", "popitem", "remove", "discard", "clear", "sort", "reverse", "move_to_end"),
    }
)
TRANSPARENT = frozenset({"sorted", "list", "tuple", "reversed", "enumerate", "iter", "next", "zip"})

Path = tuple[str, ...]
"""What is reached from the state: ("log", "slots", ...); empty for the state itself."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Nouns:
    """`by_type`: a class of the state's modules -> its noun. `writing`: the methods of each noun's
    classes that write fields."""

    by_type: Mapping[str, str]
    writing: Mapping[str, frozenset[str]]


def writers_table(state: Module) -> dict[str, frozenset[str]]:
    """`WRITERS` as it stands in the source."""
    for node in state.tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id="WRITERS"), value=ast.Dict(keys, values)):
                pairs = zip(keys, values, strict=True)
                return {_text(key): _strings(value) for key, value in pairs if key is not None}
    raise ValueError(f"{state.path} holds no table WRITERS: dict[str, frozenset[str]]")


def _text(node: ast.expr) -> str:
    return str(ast.literal_eval(node))


def _strings(node: ast.expr) -> frozenset[str]:
    return frozenset(str(n.value) for n in ast.walk(node) if isinstance(n, ast.Constant))


def nouns(modules: Sequence[Module]) -> Nouns:
    """Read the nouns off `ReplicaState`'s fields and the modules that define their types."""
    by_name = {module.name: module for module in modules}
    fields = {
        ast.unparse(node.annotation): ast.unparse(node.target)
        for node in ast.walk(by_name[STATE].tree)
        if isinstance(node, ast.AnnAssign)
    }
    by_type: dict[str, str] = {}
    writing: dict[str, frozenset[str]] = {}
    for module in modules:
        classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
        owned = [fields[each.name] for each in classes if each.name in fields]
        if within(module.name, "pbft.core.state") and module.name != STATE and owned:
            by_type |= {each.name: owned[0] for each in classes}
            writing[owned[0]] = frozenset().union(*(_writing_methods(each) for each in classes))
    return Nouns(by_type, writing)


def _writing_methods(noun: ast.ClassDef) -> frozenset[str]:
    methods = [node for node in noun.body if isinstance(node, Function)]
    empty = Nouns({}, {})
    return frozenset(m.name for m in methods if any(_writes(m, frozenset({"self"}), empty)))


def misplaced_writes(modules: Sequence[Module]) -> list[str]:
    """Writes by a module that `WRITERS` does not allow; nothing without a table."""
    by_name = {module.name: module for module in modules}
    if STATE not in by_name:
        return []
    table, known = writers_table(by_name[STATE]), nouns(modules)
    found = []
    for module in modules:
        if not within(module.name, PROTOCOL) and module.name != "pbft.core.replica":
            continue
        writer = module.name.rpartition(".")[2]
        for node, path in _module_writes(module, known):
            problem = _judge(table, writer, path)
            if problem:
                found.append(module.at(node, problem))
    return found


def _judge(table: Mapping[str, frozenset[str]], writer: str, path: Path) -> str | None:
    if path[0] in REPORTS:
        return None
    row = next((r for r in _rows(path) if r in table), None)
    if row is None:
        return f"writes state.{path[0]}, which has no row in WRITERS: name its one writer there"
    if writer in table[row]:
        return None
    name = ".".join(path)
    return (
        f"{writer} writes state.{name}, but {row!r} is for {sorted(table[row])}: call one of them"
    )


def _rows(path: Path) -> Iterator[str]:
    """The rows that may speak of `path`, the most special first."""
    yield from (f"{path[0]}.{part}" for part in reversed(path[1:]))
    yield path[0]


def _module_writes(module: Module, known: Nouns) -> Iterator[tuple[ast.AST, Path]]:
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield from _writes(node, frozenset({"state", "self._state"}), known)


def _writes(
    function: Function, roots: frozenset[str], known: Nouns
) -> Iterator[tuple[ast.AST, Path]]:
    """Each write below one of `roots` (source text of the state itself) in `function`."""
    names = _local_names(function, roots, known)
    for node in ast.walk(function):
        for target in _targets(node):
            path = _reach(target, names)
            if path and not isinstance(target, ast.Name):
                yield node, path
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            path = _reach(node.func.value, names)
            if path and _is_writing(node.func.attr, path, known):
                yield node, path


def _is_writing(method: str, path: Path, known: Nouns) -> bool:
    return method in MUTATORS or method in known.writing.get(path[0], frozenset())


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    """What a statement assigns or deletes, tuples taken apart."""
    raw: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        raw = list(node.targets)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.NamedExpr):
        raw = [node.target]
    while raw:
        target = raw.pop()
        if isinstance(target, ast.Tuple | ast.List):
            raw += target.elts
        else:
            yield target


def _local_names(function: Function, roots: frozenset[str], known: Nouns) -> dict[str, Path]:
    """Names in `function` for the state or parts of it."""
    names: dict[str, Path] = dict.fromkeys(roots, ())
    arguments = function.args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        annotation = ast.unparse(argument.annotation) if argument.annotation else ""
        if annotation == "ReplicaState":
            names[argument.arg] = ()
        elif annotation in known.by_type:
            names[argument.arg] = (known.by_type[annotation],)
    for _ in range(2):  # a second pass for names of names, wherever ast.walk met them
        for node in ast.walk(function):
            for name, value in _bindings(node):
                path = _reach(value, names)
                if path is not None:
                    names[name] = path
    return names


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Each name that `node` binds, with the expression it comes from."""
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.For | ast.AsyncFor):
        pairs = [(node.target, node.iter)]
    elif isinstance(node, ast.NamedExpr) or (isinstance(node, ast.AnnAssign) and node.value):
        pairs = [(node.target, node.value)] if node.value else []
    while pairs:
        target, value = pairs.pop()
        if isinstance(target, ast.Name):
            yield target.id, value
        elif isinstance(target, ast.Tuple | ast.List):
            same = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            values = value.elts if same and isinstance(value, ast.Tuple | ast.List) else None
            pairs += zip(target.elts, values or [value] * len(target.elts), strict=True)


def _reach(node: ast.expr, names: Mapping[str, Path]) -> Path | None:
    """The path from the state that `node` lies on, none where it does not come from the state."""
    match node:
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=base, attr=attribute):
            if (text := ast.unparse(node)) in names:
                return names[text]
            path = _reach(base, names)
            return None if path is None else (*path, attribute)
        case ast.Subscript(value=base) | ast.Starred(value=base):
            return _reach(base, names)
        case ast.Call(func=ast.Attribute(value=base)):
            path = _reach(base, names)
            return path or None
        case ast.Call(func=ast.Name(id=name), args=[first, *_]) if name in TRANSPARENT:
            return _reach(first, names)
    return None


def message_classes(messages: Module) -> frozenset[str]:
    """The classes below `Message`."""
    return frozenset(
        node.name
        for node in ast.walk(messages.tree)
        if isinstance(node, ast.ClassDef) and "Message" in map(ast.unparse, node.bases)
    )


def scattered_messages(modules: Sequence[Module]) -> list[str]:
    """Message classes that honest code makes in no module, in several, or in the wrong ones."""
    by_name = {module.name: module for module in modules}
    makers: dict[str, set[str]] = {each: set() for each in message_classes(by_name[MESSAGES])}
    for module in modules:
        if within(module.name, "pbft.testing") or module.name == MESSAGES:
            continue
        for name in _made(module):
            if name in makers:
                makers[name].add(module.name)
    path = by_name[MESSAGES].path
    texts = (_misplaced(name, frozenset(places)) for name, places in sorted(makers.items()))
    return [f"{path}: {text}" for text in texts if text]


def _misplaced(name: str, places: frozenset[str]) -> str | None:
    """What is wrong with `name` being made in `places`."""
    if name in TWO_MAKERS:
        expected = TWO_MAKERS[name]
        text = f"{name} is made in {sorted(places)}, TWO_MAKERS says {sorted(expected)}"
        return f"{text}: bring them together" if places != expected else None
    if len(places) != 1:
        return f"{name} is made in {sorted(places) or 'no module'}: exactly one module makes it"
    place = min(places)
    if within(place, PROTOCOL) or place in CLIENT:
        return None
    return f"{name} is made in {place}: that is for a rule of {PROTOCOL}"


def _made(module: Module) -> Iterator[str]:
    """Names of the classes of `pbft.core.messages` that `module` calls."""
    local = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == MESSAGES
        for alias in node.names
    }
    for _, name in calls(module):
        if name in local:
            yield local[name]
        elif name.rpartition(".")[0] in ("messages", MESSAGES):
            yield name.rpartition(".")[2]

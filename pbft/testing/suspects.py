"""What in the source of a service may differ from replica to replica, and what to do instead."""

import ast
import inspect
import textwrap

from pbft.typed.methods import methods_of

ADVICE: dict[str, str] = {
    "time": "the clock: take a Context and use context.time, which is agreed",
    "datetime": "the clock: take a Context and use context.time, which is agreed",
    "date": "the clock: take a Context and use context.time, which is agreed",
    "random": "random numbers: take a Context and use random.Random(context.seed)",
    "secrets": "random numbers: take a Context and use context.seed, or let the client choose",
    "uuid": "a random name: derive it from context.seed, or let the client choose it",
    "locale": "the locale, which every host sets for itself",
    "os": "the process and its host: they are no part of the state",
    "getpass": "the process and its host: they are no part of the state",
    "Path": "files and directories: they are no part of the state",
    "open": "files and directories: they are no part of the state",
    "gc": "when memory is tidied up, which nobody agrees on",
    "weakref": "when memory is tidied up, which nobody agrees on",
    "RecursionError": "how deep calls may go, which differs: count the steps yourself",
    "platform": "the host: it is no part of the state",
    "socket": "the network: only the state and the arguments may matter",
    "threading": "threads: their order is not agreed",
    "hash": "hash(), which is seeded per process: use hashlib",
    "id": "id(), an address of this process",
    "set": "the order of a set, which is seeded per process: use sorted(...)",
    "global": "a global variable: it is not restored after a restart or a transfer",
    "class": "an attribute of the class: it is not restored after a restart or a transfer",
    "float": "floats: their sum depends on the order, so sort first, or use integers",
}
LOOKING = "look for: the order of a set, the clock, random numbers, or what is kept outside self"


def suspects(service: type, name: str) -> list[str]:
    """Lines of advice about the command `name`, the likeliest sources in its own text first."""
    found: list[str] = []
    for method in methods_of(service).get(name, ()):
        found += _in(method.function)
    found += [each for each in _in(service) if each not in found]
    return [f"  it uses {ADVICE[each]}" for each in dict.fromkeys(found)] or [f"  {LOOKING}"]


def _in(thing: object) -> list[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return []
    return [kind for node in ast.walk(tree) if (kind := _kind(node)) is not None]


def _kind(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(value=ast.Name(id=name)) if name in ADVICE:
            return name
        case ast.Attribute(
            value=ast.Attribute(attr="__class__") | ast.Call(func=ast.Name(id="type"))
        ):
            return "class"
        case ast.Call(func=ast.Name(id="hash" | "id" | "set" | "float" | "open" as name)):
            return name
        case ast.ExceptHandler(type=ast.Name(id="RecursionError")):
            return "RecursionError"
        case ast.Call(func=ast.Name(id="uuid4" | "uuid1")):
            return "uuid"
        case ast.Set() | ast.SetComp():
            return "set"
        case ast.Global():
            return "global"
        case ast.Constant(value=float()):
            return "float"
    return None

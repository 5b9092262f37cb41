"""Sizes, and what never stands in the sources."""

import ast
from collections.abc import Sequence

from tests.architecture.modules import Module, calls, imports, within, within_any

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = 400
MAX_CORE_LINES = 5_800

UNSAFE_MODULES = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle"})
UNSAFE_CALLS = frozenset({"eval", "exec", "compile"})

SIGNING = "pbft.crypto.signing"
KEY_FILES = "pbft.crypto.keyfiles"
ED25519 = frozenset({"cryptography.hazmat.primitives.asymmetric.ed25519"})


def long_functions(modules: Sequence[Module]) -> list[str]:
    """Functions over the limit, decorators and docstring counted."""
    found = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                lines = (node.end_lineno or first) - first + 1
                if lines > MAX_FUNCTION_LINES:
                    text = f"{node.name} has {lines} lines, the limit is {MAX_FUNCTION_LINES}"
                    found.append(module.at(node, f"{text}: name its steps"))
    return found


def long_files(modules: Sequence[Module]) -> list[str]:
    """Files over the limit."""
    return [
        f"{module.path}: {lines} lines, the limit is {MAX_FILE_LINES}: split it by idea"
        for module in modules
        if (lines := _lines(module)) > MAX_FILE_LINES
    ]


def long_core(modules: Sequence[Module]) -> list[str]:
    """The core as a whole: a stranger reads it in an afternoon."""
    lines = sum(_lines(module) for module in modules if within(module.name, "pbft.core"))
    text = f"pbft/core has {lines} lines, the limit is {MAX_CORE_LINES}: delete, or move it out"
    return [text] if lines > MAX_CORE_LINES else []


def _lines(module: Module) -> int:
    return len(module.source.splitlines())


def asserts(modules: Sequence[Module]) -> list[str]:
    """`python -O` drops them, and nobody catches what they raise."""
    return [
        module.at(node, "assert in a source: raise one of our own errors")
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert)
    ]


def unsafe_code(modules: Sequence[Module]) -> list[str]:
    """Bytes or text that become code."""
    found = []
    for module in modules:
        for node, target in imports(module):
            if within_any(target, UNSAFE_MODULES):
                found.append(module.at(node, f"imports {target}: encode with pbft.core.wire"))
        for call, name in calls(module):
            if name in UNSAFE_CALLS:
                found.append(module.at(call, f"calls {name}(): data is never code"))
    return found


def foreign_signatures(modules: Sequence[Module]) -> list[str]:
    """One verifier everywhere (T42): PyNaCl in signing, and `cryptography`'s Ed25519 only as the
    format of key files."""
    found = []
    for module in modules:
        for node, target in imports(module):
            if within(target, "nacl") and module.name != SIGNING:
                found.append(module.at(node, f"imports {target}: only {SIGNING} may, use it"))
            if _names_ed25519(target) and module.name != KEY_FILES:
                found.append(module.at(node, f"imports {target}: sign with {SIGNING}"))
        for call, name in calls(module):
            if module.name == KEY_FILES and name.endswith((".sign", ".verify")):
                found.append(module.at(call, f"{KEY_FILES} only reads and writes keys"))
    return found


def _names_ed25519(target: str) -> bool:
    return within_any(target, ED25519) or (
        within(target, "cryptography") and "Ed25519" in target.rpartition(".")[2]
    )

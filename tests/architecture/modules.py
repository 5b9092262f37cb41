"""Source files as syntax trees under their dotted names, and what they import."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Module:
    """`name` is dotted, `path` is relative to the checkout."""

    name: str
    path: str
    source: str
    tree: ast.Module
    is_package: bool = False

    def at(self, node: ast.AST, text: str) -> str:
        """A violation at `node`."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {text}"


def parse(name: str, source: str) -> Module:
    """A synthetic module, for the negative controls."""
    return Module(name, name.replace(".", "/") + ".py", source, ast.parse(source))


def load(folder: str) -> list[Module]:
    """All modules below `folder`, by path; `pbft` includes `pbft/crypto` through the link."""
    found = [_read(path) for path in sorted((ROOT / folder).rglob("*.py"))]
    if folder == "pbft":
        link = ROOT / "pbft" / "crypto"
        names = {module.name for module in found}
        found += [m for m in map(_read, sorted(link.rglob("*.py"))) if m.name not in names]
    return found


def _read(path: Path) -> Module:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    source = path.read_text(encoding="utf-8")
    return Module(name, str(relative), source, ast.parse(source), is_package)


def imports(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Each import, at any depth, with its absolute target: `from a.b import c` is `a.b.c`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from ((node, f"{base}.{alias.name}") for alias in node.names)


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    """Each call with the source text of what is called."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def _base(module: Module, node: ast.ImportFrom) -> str:
    """What `from X` names, with relative dots resolved."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def within(target: str, package: str) -> bool:
    """Whether the dotted `target` is `package` or lies in it."""
    return target == package or target.startswith(package + ".")


def within_any(target: str, packages: frozenset[str]) -> bool:
    """Whether `target` lies in one of `packages`."""
    return any(within(target, package) for package in packages)

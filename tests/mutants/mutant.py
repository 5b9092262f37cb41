"""One rule taken out of the source, and the tests that must notice."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands exactly once in the file `path` (relative to the checkout) and becomes `new`.

    `trap` is the trap's code, `tests` are pytest node ids of which at least one must turn red;
    of the `claimed` among them, every one.
    """

    name: str
    trap: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    claimed: tuple[str, ...] = ()

    def problem(self, root: Path) -> str | None:
        """Why this entry does not fit the source below `root`, none where it does."""
        file = root / self.path
        if not file.is_file():
            return f"{self.name}: {self.path} does not exist"
        count = file.read_text(encoding="utf-8").count(self.old)
        if count != 1:
            return f"{self.name}: {self.old!r} stands {count} times in {self.path}, not once"
        if self.old == self.new:
            return f"{self.name}: changes nothing"
        missing = [t for t in self.tests if not (root / t.partition("::")[0]).is_file()]
        if missing or not self.tests:
            return f"{self.name}: names no test that exists ({', '.join(missing) or 'none given'})"
        return None

    def apply(self, root: Path) -> None:
        """Rewrite the file below `root`."""
        file = root / self.path
        source = file.read_text(encoding="utf-8")
        file.write_text(source.replace(self.old, self.new), encoding="utf-8")


def mutant(trap: str, name: str, path: str, old: str, new: str, *tests: str) -> Mutant:
    """An entry; `tests` are node ids."""
    return Mutant(f"{trap} {name}", trap, path, old, new, tests)

"""The mutants, by trap. A new trap comes with its test, and with an entry here that shows the
test red once the rule is taken out."""

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()

"""One target under the fuzzer: `python -m tests.fuzz.child TARGET [libFuzzer's options]`.

Nothing of pbft may be imported before the fuzzer has instrumented it, so this is a module of its
own, and the process ends with the run.
"""

import sys

import atheris

with atheris.instrument_imports(include=["pbft", "tomllib"]):
    from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> None:
    """Never returns."""
    atheris.Setup([f"fuzz-{arguments[0]}", *arguments[1:]], TARGETS[arguments[0]])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Exceptions of commands, as they are raised again at the caller."""

from typing import Any

import pytest

from pbft import ApplicationError, InvalidArgumentsError, PbftError, RejectedError
from pbft.core.errors import NotPermittedError, ServiceError, UnknownCommandError
from pbft.core.protocol.execution import MAX_REFUSAL_BYTES
from pbft.typed.refusals import refusal, restored


class ShortError(ApplicationError):
    """Cannot be made from its arguments."""

    def __init__(self, account: str, left: int, *, seen: set[str] | None = None) -> None:
        super().__init__(f"{account} has {left}")
        self.account, self.left, self._seen = account, left, seen
        self.lock = object()


class NamedError(ApplicationError):
    def __init__(self, name: str) -> None:
        super().__init__(f"no {name}")


def travelled(error: Exception) -> Exception:
    return restored(RejectedError(str(refusal(error))), __name__)


def test_an_exception_with_fields_arrives_as_what_it_was() -> None:
    sent = ShortError("ann", 3, seen={"b", "c", "a"})
    sent.add_note("of the replica alone")
    error = travelled(sent)
    assert isinstance(error, ShortError)
    assert error.args == ("ann has 3",)
    fields = {"account": "ann", "left": 3, "_seen": ["a", "b", "c"]}
    assert vars(error) == fields  # and neither what JSON has not, nor notes
    assert isinstance(error.__cause__, RejectedError)


@pytest.mark.parametrize(
    "error", [NamedError("ann"), KeyError("ann"), ValueError(1, "x"), InvalidArgumentsError("no")]
)
def test_its_text_is_not_made_twice(error: Exception) -> None:
    again = travelled(error)
    assert (type(again), again.args, str(again)) == (type(error), error.args, str(error))


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[", '{"args": 3}', "3", "[" * 100_000, '{"left": 3}', '{"args": null}'],
)
def test_what_nobody_wrote_stays_a_rejection(text: str) -> None:
    rejection = RejectedError(f"ShortError: {text}")
    assert restored(rejection, __name__) is rejection


OF_A_SERVICE = ["UnansweredError", "ForgottenOutcomeError", "RequestTooLargeError", "StorageError"]


@pytest.mark.parametrize("name", OF_A_SERVICE)
def test_a_services_error_is_none_of_the_librarys_by_its_name(name: str) -> None:
    """Whoever catches `UnansweredError` would ask for the outcome of a call that was refused."""
    error = travelled(type(name, (Exception,), {})("the printer is on fire"))
    assert type(error) is RejectedError
    assert str(error) == f'{name}: ["the printer is on fire"]'


def test_one_that_both_ends_know_arrives_as_what_the_service_defines() -> None:
    defined = type("RecordError", (ApplicationError,), {})
    error = travelled(defined("full"))
    assert type(error) is defined
    assert isinstance(error, RejectedError)


def test_of_errors_of_one_name_the_one_of_the_services_module_arrives() -> None:
    """Whichever of them was defined first."""
    kinds = {
        module: type("TakenError", (ApplicationError,), {"__module__": module})
        for module in ("shop", "bank", "library")
    }
    for module, kind in kinds.items():
        assert type(restored(RejectedError('TakenError: ["a seat"]'), module)) is kind


@pytest.mark.parametrize(
    "kind", [InvalidArgumentsError, ServiceError, UnknownCommandError, NotPermittedError]
)
def test_what_the_library_judges_arrives_as_what_it_is(kind: type[PbftError]) -> None:
    assert type(travelled(kind("no"))) is kind


class Thing: ...


def test_what_cannot_be_sent_is_told_by_its_class_alone() -> None:
    """Its text may hold an address, which is another at every replica."""
    thing = Thing()
    deep: list[list[Any]] = [[]]
    deep[0].append(deep)
    error = ApplicationError("lost", thing, [thing], "\ud800", deep, {thing: 1}, ValueError("x"))
    assert str(refusal(error)) == (
        'ApplicationError: ["lost","a Thing, which cannot be sent","a list, which cannot be sent",'
        '"a str, which cannot be sent","a list, which cannot be sent",'
        '"a dict, which cannot be sent","a ValueError, which cannot be sent"]'
    )


class UntoldError(ApplicationError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_has_no_text_travels() -> None:
    assert isinstance(travelled(UntoldError(Thing())), UntoldError)


def test_sets_of_what_has_no_order_are_told_in_one() -> None:
    many = [frozenset((number,)) for number in range(20)]
    told = {str(refusal(ApplicationError(set(each)))) for each in (many, many[::-1])}
    assert len(told) == 1


@pytest.mark.parametrize("filling", ["x", "é", '"'])
def test_a_long_one_is_shortened_and_arrives_as_what_it_was(filling: str) -> None:
    sent = ShortError("ann", 3, seen={filling * 1000})
    sent.args = (filling * 100_000, list(range(1000)), 5)
    error = travelled(sent)
    assert isinstance(error, ShortError)
    assert len(str(refusal(sent)).encode()) <= MAX_REFUSAL_BYTES
    assert error.args[0].startswith(filling * 10)
    assert error.args[0].endswith("...")
    assert error.args[1:] == ("a list, which cannot be sent", 5)
    assert (error.account, error.left) == ("ann", 3)
    assert not hasattr(error, "_seen")
    many = travelled(ApplicationError(*range(1000)))
    assert (type(many), many.args) == (ApplicationError, ())


def test_a_refusal_is_measured_in_bytes() -> None:
    """The core cuts it there, in the middle of a letter, and then nobody can read it."""
    said = str(refusal(ValueError("\u20ac" * 300)))
    assert len(said.encode()) <= MAX_REFUSAL_BYTES
    error = travelled(ValueError("\u20ac" * 300))
    assert type(error) is ValueError
    assert error.args[0].startswith("\u20ac" * 100)

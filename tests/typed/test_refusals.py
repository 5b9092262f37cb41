"""Exceptions of commands, as they are raised again at the caller."""

import pytest

from pbft import ApplicationError, BlockingProxy, InvalidArgumentsError, Proxy, RejectedError
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


def test_a_proxy_looks_first_where_it_is_defined() -> None:
    class Ours(Proxy): ...

    class OursBlocking(BlockingProxy): ...

    assert Ours._module == OursBlocking._module == __name__

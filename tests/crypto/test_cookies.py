"""A cookie proves one address, for as long as it is said to, and no longer."""

from random import Random

from pbft.crypto.cookies import COOKIE_BYTES, Cookies

HERE = ("127.0.0.1", 1000)
LIFE = 60


def test_a_cookie_is_good_at_its_own_host_and_port_alone() -> None:
    cookies = Cookies(Random(1).randbytes, LIFE)
    made = cookies.make(HERE)
    assert len(made) == COOKIE_BYTES
    assert cookies.prove(made, HERE, 0)
    assert not cookies.prove(made, ("127.0.0.1", 1001), 0)
    assert not cookies.prove(made, ("127.0.0.2", 1000), 0)


def test_a_cookie_outlives_its_secret_once() -> None:
    cookies = Cookies(Random(1).randbytes, LIFE)
    cookies.prove(bytes(COOKIE_BYTES), HERE, 0)  # the first secrets are in use from here on
    made = cookies.make(HERE)
    assert cookies.prove(made, HERE, LIFE - 1)
    assert cookies.prove(made, HERE, LIFE)
    assert not cookies.prove(made, HERE, 2 * LIFE)

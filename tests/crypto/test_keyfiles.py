"""Key files: what is refused, and in which words."""

import errno
import os
from pathlib import Path

import pytest

from pbft.crypto.errors import KeyFileError
from pbft.crypto.keyfiles import Identity, load_identity, save_identity


@pytest.fixture
def identity() -> Identity:
    return Identity.generate()


def same(one: Identity, two: Identity) -> bool:
    return one.signing.seed == two.signing.seed and one.link.private == two.link.private


def test_a_key_file_comes_back_with_and_without_a_passphrase(
    tmp_path: Path, identity: Identity
) -> None:
    save_identity(tmp_path / "plain.pem", identity)
    assert (tmp_path / "plain.pem").stat().st_mode & 0o777 == 0o600
    assert same(load_identity(tmp_path / "plain.pem"), identity)
    save_identity(tmp_path / "locked.pem", identity, b"secret")
    assert b"ENCRYPTED" in (tmp_path / "locked.pem").read_bytes()
    assert same(load_identity(tmp_path / "locked.pem", b"secret"), identity)


def test_a_full_disk_leaves_no_half_of_a_key_file(
    tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(KeyFileError, match="cannot be written: No space left"):
            save_identity(tmp_path / "key.pem", identity)
    save_identity(tmp_path / "key.pem", identity)


@pytest.mark.scenario("CF6", kills="CF6 anybody may read a key file")
def test_loose_permissions_are_refused_with_the_remedy(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "key.pem"
    save_identity(path, identity)
    for mode in (0o640, 0o604, 0o620, 0o666):
        path.chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            load_identity(path)


@pytest.mark.scenario("CF6")
def test_nothing_is_overwritten_or_generated(tmp_path: Path, identity: Identity) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_identity(path)
    assert not path.exists()
    save_identity(path, identity)
    with pytest.raises(KeyFileError, match="never overwritten"):
        save_identity(path, Identity.generate())
    assert same(load_identity(path), identity)


def test_found_by_fuzzing_a_key_of_another_curve_with_the_wrong_length(
    tmp_path: Path, identity: Identity
) -> None:
    """The library calls that an internal error: X448 with 32 bytes."""
    path = tmp_path / "key.pem"
    save_identity(path, identity)
    path.write_bytes(path.read_bytes().replace(b"K2VwBCIE", b"K2VvBCIE"))
    with pytest.raises(KeyFileError, match="damaged"):
        load_identity(path)


@pytest.mark.scenario("CF6")
def test_damaged_files_and_wrong_passphrases_are_refused(
    tmp_path: Path, identity: Identity
) -> None:
    path = tmp_path / "key.pem"
    save_identity(path, identity, b"secret")
    with pytest.raises(KeyFileError, match="needs a passphrase"):
        load_identity(path)
    with pytest.raises(KeyFileError, match="passphrase"):
        load_identity(path, b"other")
    plain = tmp_path / "plain.pem"
    save_identity(plain, identity)
    data = plain.read_bytes()
    half = data.index(b"-----END") + len(b"-----END PRIVATE KEY-----\n")
    damaged = [
        b"",
        b"garbage",
        data[:half],
        data[half:],
        data + data[:half],
        data[:-5],
        data + b"x",
        data[half:] + data[:half],
        data.replace(b"M", b"N", 3),
        bytes(20_000),
    ]
    for bad in damaged:
        plain.write_bytes(bad)
        with pytest.raises(KeyFileError, match=r"plain\.pem"):
            load_identity(plain)


def test_a_ticket_stands_behind_the_keys(tmp_path: Path, identity: Identity) -> None:
    for size in (1, 47, 48, 49, 1024):
        identity.ticket = bytes(range(256)) * 4
        identity.ticket = identity.ticket[:size]
        path = tmp_path / f"{size}.pem"
        save_identity(path, identity, b"secret")
        found = load_identity(path, b"secret")
        assert same(found, identity)
        assert found.ticket == identity.ticket


def test_a_damaged_ticket_is_refused(tmp_path: Path, identity: Identity) -> None:
    identity.ticket = bytes(100)
    save_identity(tmp_path / "good.pem", identity)
    good = (tmp_path / "good.pem").read_bytes()
    path = tmp_path / "bad.pem"
    for bad in (
        good.replace(b"AAAA\n", b"AAA\n", 1),
        good.replace(b"AAAA\n", b"AAAAAAAA\n", 1),
        good.replace(b"-----END PBFT TICKET-----", b"-----END PBFT TICKET----"),
        good + b"\n",
        good + good[good.index(b"-----BEGIN PBFT") :],
        good.partition(b"AAAA")[0],
    ):
        path.unlink(missing_ok=True)
        path.write_bytes(bad)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match="ticket behind its keys"):
            load_identity(path)

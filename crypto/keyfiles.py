"""Identities in PEM files: one Ed25519 and one X25519 private key, as two PKCS#8 blocks; and, where
others do not know these keys, the ticket that vouches for them, as a third.

A key file is created exclusively and readable by its owner alone; one that anybody else can read,
or that holds anything but exactly this, is refused. Nothing is ever generated silently.
"""

import base64
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pbft.crypto.errors import KeyFileError
from pbft.crypto.noise import LinkPrivateKey
from pbft.crypto.signing import SigningKey

MAX_FILE_BYTES = 16 * 1024
_BLOCK = re.compile(
    rb"-----BEGIN (?:ENCRYPTED )?PRIVATE KEY-----\n.*?-----END (?:ENCRYPTED )?PRIVATE KEY-----\n",
    re.DOTALL,
)
TICKET_BEGIN, TICKET_END = b"-----BEGIN PBFT TICKET-----\n", b"-----END PBFT TICKET-----\n"
TICKET_LINE = 64


class Identity:
    """What a principal proves itself with: it signs with one key and opens links with the other.
    `ticket`: what vouches for it where its keys are not known; means nothing here."""

    __slots__ = ("link", "signing", "ticket")

    def __init__(self, signing: SigningKey, link: LinkPrivateKey, ticket: bytes = b"") -> None:
        self.signing = signing
        self.link = link
        self.ticket = ticket

    @classmethod
    def generate(cls) -> "Identity":
        """A new identity from the operating system's randomness."""
        return cls(SigningKey.generate(), LinkPrivateKey.generate(os.urandom))


def save_identity(path: Path, identity: Identity, passphrase: bytes | None = None) -> None:
    """Write a new key file with mode 0600. Raises `KeyFileError` where `path` exists, or cannot be
    written."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        encryption = BestAvailableEncryption(passphrase)
    keys = (
        Ed25519PrivateKey.from_private_bytes(identity.signing.seed),
        X25519PrivateKey.from_private_bytes(identity.link.private),
    )
    data = b"".join(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) for key in keys
    )
    data += _ticket_block(identity.ticket)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} exists: a key file is never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink()  # half a key would stand in the way of the next attempt
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from None


def load_identity(path: Path, passphrase: bytes | None = None) -> Identity:
    """Read a key file. Raises `KeyFileError` with what is wrong and what to do about it."""
    keys, ticket = _ticket(path, _read(path))
    blocks = _blocks(path, keys)
    signing = _key(path, blocks[0], passphrase)
    link = _key(path, blocks[1], passphrase)
    if not isinstance(signing, Ed25519PrivateKey) or not isinstance(link, X25519PrivateKey):
        raise KeyFileError(f"{path} must hold an Ed25519 key and then an X25519 key")
    return Identity(
        SigningKey(signing.private_bytes_raw()), LinkPrivateKey(link.private_bytes_raw()), ticket
    )


def _ticket_block(ticket: bytes) -> bytes:
    text = base64.b64encode(ticket)
    lines = [text[at : at + TICKET_LINE] + b"\n" for at in range(0, len(text), TICKET_LINE)]
    return b"".join([TICKET_BEGIN, *lines, TICKET_END]) if ticket else b""


def _ticket(path: Path, data: bytes) -> tuple[bytes, bytes]:
    """The keys of a file, and the ticket behind them, if there is one."""
    keys, begin, rest = data.partition(TICKET_BEGIN)
    try:
        ticket = base64.b64decode(rest.removesuffix(TICKET_END).replace(b"\n", b""), validate=True)
    except ValueError:
        ticket = b""
    if begin and (not ticket or _ticket_block(ticket) != begin + rest):
        raise KeyFileError(f"{path} is damaged: the ticket behind its keys does not decode")
    return keys, ticket


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileError(
                    f"{path} can be read or written by others (mode {mode:04o}):"
                    f" run `chmod 600 {path}`, and replace the key if anyone may have read it"
                )
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise KeyFileError(f"{path} is too large for a key file")
    return data


def _blocks(path: Path, data: bytes) -> list[bytes]:
    blocks = _BLOCK.findall(data)
    if len(blocks) != 2 or b"".join(blocks) != data:
        raise KeyFileError(
            f"{path} is not a key file of this library: it must hold exactly two PEM private keys"
        )
    return blocks


def _key(path: Path, block: bytes, passphrase: bytes | None) -> object:
    try:
        return load_pem_private_key(block, passphrase)
    except TypeError:
        need = (
            "needs a passphrase" if passphrase is None else "has no passphrase, but one was given"
        )
        raise KeyFileError(f"{path} {need}") from None
    except (ValueError, UnsupportedAlgorithm, InternalError):
        raise KeyFileError(f"{path} is damaged, or its passphrase is another one") from None

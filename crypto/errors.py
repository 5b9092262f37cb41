"""Errors of this package, in one tree; each message says what to do next."""


class CryptoError(Exception):
    """Root of all errors raised here."""


class KeyFileError(CryptoError):
    """A key file that must not, or cannot, be used."""


class HandshakeError(CryptoError):
    """A handshake message that is not by the peer it claims; the link layer drops and counts it."""


class TrieError(CryptoError):
    """An encoded node that is not one, or not the one that its digest promises."""

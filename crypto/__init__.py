"""Digests, signatures, sealed links, an authenticated map and key files. Nothing here knows PBFT.

Imported as `pbft.crypto`. Principals are opaque names, messages are bytes.
"""

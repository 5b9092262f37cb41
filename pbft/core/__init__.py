"""The protocol, sans-I/O: bytes in, effects out; no clock, socket, disk or entropy here."""

"""Tests of the transport, sans-I/O first, then over real sockets."""

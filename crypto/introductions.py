"""How the sender of an initiation says who it is: by a name that the other end knows, or, as a
guest, by a ticket that says it.

    name length (1) | name               or               0 | ticket length (2) | ticket
"""

MAX_NAME_BYTES = 64
MAX_TICKET_BYTES = 1024
TICKET_HEADER_BYTES = 3


def introduction(name: bytes, ticket: bytes) -> bytes:
    """By the ticket, where there is one."""
    if ticket:
        return b"\0" + len(ticket).to_bytes(2, "big") + ticket
    return bytes([len(name)]) + name


def introduced(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """(name, ticket, what comes behind), one of the first two empty; none where it is malformed."""
    if data[:1] != b"\0":
        length = data[0] if data else MAX_NAME_BYTES + 1
        name, rest = data[1 : 1 + length], data[1 + length :]
        return (name, b"", rest) if len(name) == length <= MAX_NAME_BYTES else None
    length = int.from_bytes(data[1:TICKET_HEADER_BYTES], "big")
    ticket, rest = data[3 : 3 + length], data[3 + length :]
    return (b"", ticket, rest) if 0 < len(ticket) == length <= MAX_TICKET_BYTES else None

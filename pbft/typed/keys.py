"""The keys of a hosted service's state, for people."""

import msgspec


def told(key: bytes) -> str:
    """Which attribute, which entry of a map, which row, a key stands for."""
    kind, rest = key[:1], key[1:]
    if kind == b"a":
        return f"self.{rest.decode('utf-8', 'replace')}"
    if kind in (b"m", b"q") and rest:
        end = 1 + rest[0]
        name, inner = rest[1:end].decode("utf-8", "replace"), rest[end:]
        if kind == b"q":
            inner = inner[1:]
        try:
            return f"self.{name}[{msgspec.msgpack.decode(inner)!r}]"
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return f"self.{name}[...]"
    if kind == b"e":
        return f"event {int.from_bytes(rest, 'big')}"
    return {b"E": "the count of events", b"v": "the active version", b"s": "its types"}.get(
        kind, key.hex()
    )

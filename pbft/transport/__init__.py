"""Messages between principals over UDP: frames, reassembly, sealed links, sockets.

    message -> frames -> datagram payloads -> sealed by the link -> socket
    socket -> bounded queue -> opened by the link -> frames -> reassembly -> message

`frames`, `bulk` (large messages on their way out, `pacing` them) and `reassembly` are sans-I/O;
`udp` owns sockets; `endpoint` joins them to the links.
"""

"""One valid message of every type, with fixed content: what codec tests are made from."""

from pbft.core.messages import (
    AnyMessage,
    Attest,
    BatchBody,
    Certificate,
    Checkpoint,
    Commit,
    Decision,
    FetchBatch,
    FetchNodes,
    LinkMessage,
    NewView,
    Node,
    Nodes,
    Place,
    Prepare,
    PrePrepare,
    Proposal,
    Read,
    ReadReply,
    Receipt,
    Reply,
    Request,
    Signable,
    StableProof,
    Status,
    Ticket,
    ViewChange,
    Witness,
)

D = bytes(range(32))
BIG = 2**63 - 1

SIGNABLE: list[Signable] = [
    Request("alice", 1, (b"put", b"")),
    PrePrepare(0, 1, D, 0),
    Prepare(1, 2, D, 3),
    Commit(BIG, BIG, D, BIG),
    Checkpoint(128, D, 2),
    ViewChange(3, 128, (b"one", b"two"), (Certificate(b"pp", (b"p1", b"p2")),), 1),
    NewView(3, (b"vc1", b"vc2"), (b"pp1",), 3),
    Receipt("alice", 1, D, 17, D, 2),
    Ticket("alice", 63, D, D, ("get",), 0),
]

LINK: list[LinkMessage] = [
    Proposal(b"pp", b"batch"),
    Status(7, False, 128, 200, True, True),
    Witness((), ()),
    FetchBatch(D),
    BatchBody(b"batch"),
    Decision(b"pp", (b"c1", b"c2"), b"batch"),
    StableProof((b"k1",)),
    FetchNodes((Place(b"\x01\x02", D),)),
    Nodes((Node(b"\x01\x02", D, b"data"),)),
    Reply(2, 99, D, 17, (b"\x00ok", b"\x01no"), 3),
    Read(2**40, 3, (b"get",)),
    ReadReply(2**40, 3, 17, D, 2),
    Attest(99),
]

EVERY: list[AnyMessage] = [*SIGNABLE, *LINK]

"""What a client has seen of the replicas: who answers, who is late, who lies."""

from collections.abc import Mapping
from dataclasses import dataclass

from pbft.client_session import ClientSession
from pbft.core.ids import ReplicaId, View


@dataclass(frozen=True, slots=True)
class ClientStats:
    """`requests`: how many f+1 replicas have agreed on. By replica, the replies that agreed before
    that (`timely_replies`), after it (`late_replies`), and those that contradict it, as do
    `wrong_statements` for receipts."""

    view: View
    pending: int
    retransmissions: int
    fast_reads: int
    requests: int
    timely_replies: dict[ReplicaId, int]
    late_replies: dict[ReplicaId, int]
    wrong_replies: dict[ReplicaId, int]
    wrong_statements: dict[ReplicaId, int]
    drops: dict[str, int]
    connected: int

    @classmethod
    def of(
        cls,
        session: ClientSession,
        wrong: Mapping[ReplicaId, int],
        drops: Mapping[str, int],
        connected: int,
    ) -> "ClientStats":
        """As they are now; `wrong`: what replicas stated wrongly for receipts."""
        return cls(
            view=session.view,
            pending=session.pending,
            retransmissions=session.retransmissions,
            fast_reads=session.fast_reads,
            requests=session.completed,
            timely_replies=dict(session.timely_replies),
            late_replies=dict(session.late_replies),
            wrong_replies=dict(session.wrong_replies),
            wrong_statements=dict(wrong),
            drops=dict(drops),
            connected=connected,
        )

    def silent(self, replica: ReplicaId) -> int:
        """Requests that `replica` has not answered, or not yet."""
        told = (self.timely_replies, self.late_replies, self.wrong_replies)
        return max(0, self.requests - sum(each.get(replica, 0) for each in told))

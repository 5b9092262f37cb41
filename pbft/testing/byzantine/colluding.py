"""What the traitors of one run share: their keys, those of faulty clients, what they have seen.

With a colluder's key a traitor signs as the colluder, with a faulty client's key it makes requests
that nobody sent. All other signatures it can only repeat.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from pbft.core.authentication import Authentication, Signer, Verifier
from pbft.core.config import Configuration
from pbft.core.ids import ClientId, Packet, Principal, ReplicaId, RequestKey
from pbft.core.ingress import Ingress
from pbft.core.messages import Request, Signable, sender
from pbft.testing.rounds import Rounds

REMEMBERED = 512


class Ring:
    """Of one run. `signed` is told of each request made here: its client stands for it."""

    def __init__(
        self,
        config: Configuration,
        signers: Mapping[Principal, Signer],
        verifier: Verifier,
        rounds: Rounds,
        signed: Callable[[RequestKey], None],
    ) -> None:
        self.config = config
        self.rounds = rounds
        self.sides: dict[bytes, tuple[int, ...]] = {}
        """Of messages by forked replicas: which of the two cores each is from."""
        self.seen: deque[bytes] = deque(maxlen=REMEMBERED)
        """Signed messages that came in to any of us, the latest."""
        self._hands = {
            principal: Authentication(config.cluster_id, signer, verifier)
            for principal, signer in signers.items()
        }
        self._signed = signed

    @property
    def replicas(self) -> list[ReplicaId]:
        """All traitors."""
        return [each for each in self._hands if isinstance(each, int)]

    @property
    def clients(self) -> list[ClientId]:
        """All faulty clients."""
        return [each for each in self._hands if not isinstance(each, int)]

    def sign(self, message: Signable, us: ReplicaId) -> bytes:
        """Under the key of whomever it names, if that is one of us; else under our own: a lie that
        everybody can see."""
        name = sender(message)
        if isinstance(message, Request) and name in self._hands:
            self._signed((message.client, message.timestamp))
        return self._hands[name if name in self._hands else us].sign(message).raw

    def ingress(self, us: ReplicaId) -> Ingress:
        """Tells which view changes are valid: so that a forger knows what it does."""
        return Ingress(self.config, self._hands[us])

    def saw(self, packets: Sequence[Packet]) -> None:
        """Keep what is signed."""
        self.seen.extend(packet.data for packet in packets if packet.data[:1] == b"\x01")

"""The scenarios that the suite covers at least, each in one line, and where it must be shown.

U: on a handler or a decoder. S: in the simulator. C: over real sockets. B: S and C.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """`where` holds letters of U, S and C; none where it is documented and not shown."""

    id: str
    where: str
    what: str


def _read(text: str) -> list[Listed]:
    """Lines of id, places and words."""
    lines = [line.split(None, 2) for line in text.strip().splitlines()]
    return [Listed(name, _places(where), what) for name, where, what in lines]


def _places(where: str) -> str:
    return {"B": "SC", "UB": "USC", "-": ""}.get(where, where)


SCENARIOS = _read("""
EQ1 B the primary proposes two batches under one number, at n = 4 and 7
EQ2 S the primary leaves one backup out, and the traitors' votes let the others commit
EQ5 SC one identity runs twice with the same key, on both sides of a partition
EQ6 S the twin is the primary; with two twins at n = 4 the fork is seen
EQ7 S a backup votes for everything
EQ8 S a new primary says two NEW-VIEWs that are both valid
EQ9 S different replicas hear different VIEW-CHANGEs of one sender
EQ11 US commits for what nobody proposed
VC1 B the primary falls silent under load: one view change and no transfer
VC2 B f primaries in turn are dead, at n = 7
VC3 S what one replica has prepared survives the crash of the primary
VC4 US of two certificates for one number, the one of the higher view is chosen
VC5 US the number between two prepared ones is filled with null
VC6 US a new primary leaves out a prepared number
VC8 U a pre-prepare of another view or another signer in O
VC10 U one sender makes up the quorum of a NEW-VIEW
VC11 US one bad certificate in a VIEW-CHANGE voids it, and no other
VC12 US a low watermark that nothing proves
VC14 U a certificate outside the window, or of a view not yet left
VC15 U the highest proven checkpoint is chosen, whoever supports it
VC17 US f+1 ahead are joined where they all are, not where one claims to be
VC18 B one replica is deaf and complains for ever
VC20 B nobody hears the others for a while, and hears them again
VC21 S the new primary keeps its NEW-VIEW to itself
VC23 S a body that the new view chose is fetched, and a wrong one is not taken
VC24 C a NEW-VIEW with a whole window in it, on a network that loses datagrams
VC25 US votes of the view that was left come late
VC27 US the primary alone complains about its own view
VC30 S the primary dies at the very number of a checkpoint
CP1 B a replica signs another state at a checkpoint
CP2 S f+1 checkpoint votes do not move the window
CP4 S checkpoint votes are withheld: by f the window moves on, by more it fills and stops
CP5 U proposals at the edges of the window
CP7 U votes for numbers that are gone
CP9 S checkpoint votes for the far future
ST1 B the source of a state lies
ST3 S the source gives a little at a time
ST4 B the state moves on while it is fetched
ST6 B a client asks a restored replica again for what ran before its snapshot
ST7 US a source changes the table of clients alone
ST8 S a state is fetched while the view changes
ST10 B whoever fetches is killed in the middle
ST11 C questions for state from where nobody has proved who it is
ST13 S a decision is known and its body is nowhere to be had for a while
CL1 B a client sends one request a thousand times
CL3 B a request reaches one replica only
CL4 B a request that its client did not sign
CL5 U old timestamps: executed, and below the floor
CL7 S the last of five requests is ordered first
CL9 B f wrong replies come first
CL11 B a traitor and a laggard answer a read from the past
CL12 S writes all the time keep fast reads from agreeing
CL13 S the primary starves one replica and withholds its own reply
CL15 C clients that nobody knows
AU2 U the signature of one type of message under another
AU4 UC signatures at the edges of the group, made with the key
AU5 U a valid signature in another form
AU6 U one signer several times in a certificate
AU8 C a flood of bad signatures
AU10 U a datagram of another pair or direction
AU12 B the key of one replica is used elsewhere
RP1 C everything that was ever sent is sent again, many times
RP2 B what was sent before a restart is sent again after it
RP4 U a proposal of an earlier view
RP6 S the primary proposes an executed batch under a new number
RP7 S what a dead replica said is repeated for ever
RP9 U the same evidence again
FL1 C random bytes at line rate
FL2 C nobody reads for a while
FL5 US votes for a million views
FL6 S a thousand proposals under one number
FL7 C questions that ask for more than they cost
FL9 C view changes of the largest size
FL10 B a peer asks for all of the state, over and over
FL11 B what is on the disk stays bounded while checkpoints are withheld
FL13 C clients that flood, beside one that does not
FL14 US a client tells the primary alone of its large requests
TM1 B a primary just below the timeout
TM2 B a primary that serves everybody but one
TM3 S view after view fails, then all is well
TM5 S a batch executes before its request arrives
TM7 C wall clocks jump by an hour
TM8 C a replica stalls for less than the timeout
TM10 - in which order requests that wait together are served
TM11 S every replica has another timeout
NW1 B 30 % of all messages are lost
NW2 B half of all messages arrive twice, some late
NW3 B two and two
NW4 B each replica alone in turn
NW6 B the primary hears and cannot speak
NW8 S links are stopped one by one in one order and opened in another
NW10 C bits flip on the way
NW11 C datagrams above the usual frame are lost
NW13 C a replica comes back at another port
NW14 S one delay above the timeout
CR1 SC a replica is killed between durable and sent
CR2 S a vote was sent and its record was not
CR3 S a view change was sent and its record was not
CR5 UB a bit flips in an old record
CR7 S the power fails before a new name is on the disk
CR8 B a disk from an hour ago
CR9 B a disk that is gone
CR10 SC the power fails everywhere
CR11 C restarts one after another under load
CR12 B f are down and as many more are slow, at n = 7
CR14 SC all are killed in the middle of a view change
CR15 S all come back, one of them with an older checkpoint
CR17 C a kill while a checkpoint is written
CF1 U sizes for which no quorum exists
CF4 B replicas with different parameters
CF6 U key files that are loose, damaged or absent
CF7 C another cluster
CF8 U no switch turns the checks off
CF9 C another version on the wire
WF1 U ten million random datagrams
WF2 U every bit and byte of every message, changed
WF5 S a traitor says anything that its key can sign
WF6 S small changes to the messages of a few rounds
WF7 U the bytes of every message, as they were
AC1 B traitors that say two things are named, and only they
AC2 S f+1 traitors fork: seen, and named
AC3 S a fork across a view change: named
AC6 U silence proves nothing
AC7 - which channels can be held against a replica
""")

TRAPS = _read("""
T1 U the quorum is ceil((n+f+1)/2), for every n
T2 U prepared takes q-1 backups, and never the primary's word
T3 U votes count per view, number and digest
T4 U one signer counts once, at every level
T5 U what is signed names its cluster and its type
T6 U nothing changes before everything is verified
T7 U messages may come in any order
T8 U digests are computed from bodies
T9 U the first pre-prepare stands, also after a restart
T10 U no vote without the body on the disk
T11 U numbers execute one after another, requests once
T12 U whoever has decided helps those who have not
T13 U the highest view wins
T14 U P holds all that was prepared, executed or not
T15 U what makes a certificate valid
T16 U one bad certificate voids its own VIEW-CHANGE alone
T17 U a NEW-VIEW is computed again by everybody
T18 U the highest proven checkpoint, and no claim
T19 U gaps are null, and execute as nothing
T20 U a chosen body is fetched before it is voted for
T21 U watermarks and numbers never fall in a new view
T22 U no vote in a view that was left
T23 U f+1 pull along, one does not
T24 U the timer for a NEW-VIEW runs once a quorum moves
T25 U the back-off ends with progress, and is capped
T26 U one NEW-VIEW per view, also after a restart
T27 U whoever is alone in a later view is not lost
T28 U thresholds are at least, not exactly
T29 U stable takes q votes and the own state
T30 U the table of clients is in the digest
T31 U waits end by client and timestamp, bodies are known by digest
T32 U how many replies, and what must match
T33 U a restart stays in the view change
T34 U what is on the disk before what is sent
T35 U a lost disk is one of the f until made good
T36 - tentative execution
T37 U every request has its turn
T38 U pass on before suspecting
T39 U messages larger than a datagram
T40 U queues, errors and buffers of sockets
T41 U no bytes raise anything
T42 U one verifier of signatures
T43 U services that are not deterministic are found
T44 U no proposal overtakes the NEW-VIEW
T45 U turns leave in the order of their records
T46 U checkpoints match across views
T47 U guards are judged when rules act
T48 U acceptance does not depend on what has executed
T49 U a turn at its bound is called again
T50 U keys of links are fresh at both ends
T51 U an installed checkpoint drops nothing above it
T52 U the disk forgets only what is covered
T53 U the status exchange is complete
T54 U a state against a quorum is repaired, and silent until then
T55 U waiting is in order of arrival, and bounded
T56 U a burst is taken in before timers expire
""")

EVERY = {each.id: each for each in SCENARIOS + TRAPS}

DOCUMENTED = {
    "TM10": "Not promised: requests that wait at the same time may be ordered as the primary likes"
    " (README, under the promise; how long one may wait has a bound, decision 013).",
    "AC7": "There is no channel that only a tag protects: everything that convicts is signed"
    " (decision 002). What a link alone carries (a status, an answer to a question) is never"
    " evidence.",
    "T36": "Not built: nothing executes before it is committed, so there is nothing to roll back.",
}
"""Shown by no test, and why."""

GAPS: dict[str, tuple[str, str]] = {}
"""What is not shown where the list demands it: the letters that are missing, and why."""

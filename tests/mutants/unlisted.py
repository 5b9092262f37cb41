"""Rules against attacks that stand in no list of ours: found by reasoning from the source."""

from tests.mutants.mutant import Mutant, mutant

CORE = "pbft/core"
PROTOCOL = "pbft/core/protocol"
LOST = "tests/traps/test_lost_disk.py"
SIZES = "tests/core/test_sizes.py"
TRANSFER = "tests/core/protocol/test_state_transfer.py"
NUISANCES = "tests/test_nuisances.py"

UNLISTED: tuple[Mutant, ...] = (
    mutant(
        "T35",
        "what others repeat of a forgotten life is known",
        f"{PROTOCOL}/view_change.py",
        "    if message.replica == state.me:  #",
        "    if False:  #",
        f"{LOST}::test_t35_a_view_change_that_a_traitor_repeats_first_is_taken_up_all_the_same",
    ),
    mutant(
        "FL10",
        "garbage of any size is shown to its sender",
        f"{PROTOCOL}/witness.py",
        " or (isinstance(message, ViewChange) and _is_padded(state, raw))",
        "",
        f"{LOST}::test_t35_what_a_peer_is_shown_of_its_own_is_within_its_share_of_an_interval",
    ),
    mutant(
        "FL10",
        "what a peer is shown counts for nothing",
        f"{PROTOCOL}/witness.py",
        "    peer.spent += sum(map(len, shown.votes))\n",
        "",
        f"{LOST}::test_t35_what_a_peer_is_shown_of_its_own_is_within_its_share_of_an_interval",
    ),
    mutant(
        "T39",
        "all who have moved are in a new view",
        f"{PROTOCOL}/view_change.py",
        "[:q]",
        "",
        f"{SIZES}::test_a_new_view_stands_on_a_quorum_though_everybody_has_moved",
    ),
    mutant(
        "T39",
        "certificates may be padded",
        f"{CORE}/ingress.py",
        "if len(raw) > view_change_bytes(self._config.n, self._config.window):",
        "if False:",
        f"{SIZES}::test_a_view_change_with_more_votes_than_prove_it_is_not_taken",
    ),
    mutant(
        "T39",
        "a proof is kept with all that it came with",
        f"{CORE}/ingress.py",
        "raws[: self._config.quorum]",
        "raws",
        f"{SIZES}::test_of_a_proof_with_more_votes_than_it_takes_a_quorum_is_kept",
    ),
    mutant(
        "ST4",
        "a node now and then keeps an old target",
        f"{PROTOCOL}/state_transfer.py",
        "    fruitless |= not transfer.ticks % STALE_TICKS",
        "    #",
        f"{TRANSFER}::test_a_state_that_one_source_still_gives_in_trickles_is_left_for_a_newer_one",
    ),
    mutant(
        "ST3",
        "a decision now and then puts off a transfer",
        f"{PROTOCOL}/deadlines.py",
        '        wanted["crawl", stage] = CRAWL_INTERVALS * interval\n',
        "",
        f"{TRANSFER}::test_decisions_that_come_one_by_one_do_not_put_off_a_transfer",
    ),
    mutant(
        "FL5",
        "what a backup passes on in vain is dear",
        f"{CORE}/replica.py",
        "late |= isinstance(message, Request) and isinstance(packet.peer, int)",
        "pass",
        f"{NUISANCES}::test_a_backup_that_passes_on_what_clients_told_everybody_is_heard",
    ),
    mutant(
        "FL14",
        "what is passed on has no room where a client has filled its own",
        f"{CORE}/state/requests.py",
        "(full and (lent or not isinstance(peer, int)))",
        "full",
        "tests/core/state/test_requests.py",
        "tests/simulation/test_withheld_requests.py",
    ),
)

"""The example that ends each `--help`. The tests run every line of this table as it stands.

A key is the command with its sub-command; the lines that need a running cluster say so by using
`mycluster`, which `pbft init` makes and `pbft up` starts.
"""

EXAMPLES: dict[str, str] = {
    "": "pbft demo --byzantine equivocate",
    "init": "pbft init mycluster --replicas 4 --clients 2 --admits 4",
    "admit": "pbft admit mycluster client-0 printer --days 30",
    "replica": "pbft replica mycluster 0",
    "recover": "pbft recover mycluster 2",
    "up": "pbft up mycluster",
    "status": "pbft status mycluster --json",
    "kv": "pbft kv mycluster put greeting hello",
    "kv put": "pbft kv mycluster put greeting hello",
    "kv get": "pbft kv mycluster get greeting",
    "kv cas": "pbft kv mycluster cas greeting hello goodbye",
    "kv scan": "pbft kv mycluster scan greet --limit 10",
    "kv delete": "pbft kv mycluster delete greeting",
    "demo": "pbft demo --byzantine silent --requests 100 --json",
    "bench": "pbft bench --clients 4 --outstanding 25 --seconds 2 --json",
    "determinism": "pbft determinism pbft.services.counters:Counters --operations 50",
    "diverged": "pbft diverged mycluster",
    "audit": "pbft audit mycluster",
    "check": "pbft check pbft.services.counters:Counters --seeds 4",
    "verify-receipt": "pbft verify-receipt receipt.json --cluster mycluster",
    "campaign": "pbft campaign run --swarm 3 --twins 3 --byzzfuzz 0 --controls 2",
    "campaign run": (
        "pbft campaign run --swarm 3 --twins 3 --byzzfuzz 0 --controls 2 --shard 1/2"
        " --progress one.jsonl"
    ),
    "campaign merge": "pbft campaign merge one.jsonl two.jsonl --json",
    "campaign show": "pbft campaign show campaign.jsonl",
    "simulate": "pbft simulate --seed 1 --seeds 2 --json",
    "replay": "pbft replay pbft-failures/seed-17-agreement-3fa2c81e.json --timeline run.html",
    "shrink": "pbft shrink pbft-failures/seed-17-agreement-3fa2c81e.json",
    "timeline": "pbft timeline recordings -o demo.html",
    "scenario": "pbft scenario tests/scenarios/eq1-split-pre-prepare.scenario --transcript",
}

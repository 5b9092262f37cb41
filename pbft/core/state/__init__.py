"""Nouns: what a replica knows. Data and invariants only; who may write what is in replica_state."""

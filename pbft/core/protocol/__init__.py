"""Verbs: absorbing handlers and acting rules, one module per concern of the paper."""

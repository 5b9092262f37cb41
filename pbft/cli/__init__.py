"""The `pbft` command, one module per sub-command; `main.py` dispatches and words the errors."""

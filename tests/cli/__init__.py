"""The command line as a user calls it, in processes of its own."""

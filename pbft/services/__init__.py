"""Ready replicated services."""

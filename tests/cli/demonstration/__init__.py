"""What the demonstration says must follow from what was seen."""

"""Does each trap's test notice when its rule is gone? `make mutants` asks, one rule at a time."""

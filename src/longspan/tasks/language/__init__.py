"""Language models: what comes next, one token after the other."""

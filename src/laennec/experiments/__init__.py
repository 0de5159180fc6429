"""What writes docs/results, and the tables of README and documentation that are made from it."""

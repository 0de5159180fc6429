"""Model files: the card, the session, and the two kinds of model."""

"""Scores: one path from predictions to tables."""

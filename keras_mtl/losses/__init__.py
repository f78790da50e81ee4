"""Losses of single entries."""

"""Supervised actors for Trio."""

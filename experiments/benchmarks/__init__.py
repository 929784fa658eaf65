"""Measurements of the code itself."""

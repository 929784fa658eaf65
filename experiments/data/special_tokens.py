"""The ids of tokens that are no text, which data, nets and search share."""

PADDING, BEGIN, END, UNKNOWN = range(4)
"""Padding fills a row behind its sentence; unknown stands for text without a token."""

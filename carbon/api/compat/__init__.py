"""Paths of other services, to the letter, so that their clients work unchanged."""

"""Experiments with their arms, and what the ledger recommends."""

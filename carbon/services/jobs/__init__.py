"""Deferrable work: submitted, planned, dispatched, watched and credited."""

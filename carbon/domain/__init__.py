"""The rules of the ledger. Pure: standard library only, no clock, no I/O."""

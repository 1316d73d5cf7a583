"""The bodies of /v1 as structs: one definition for client, agent and server.

Decoding is strict (no bool for int, no unknown type), names are the contract's.
"""

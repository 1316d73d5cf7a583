"""What the service achieves on this machine: each module measures one bench's figures.

A bench is a module with `measure(options) -> list[Figure]`; `carbon bench NAME` prints them.
"""

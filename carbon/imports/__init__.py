"""What other tools have measured or published, read into the ledger: one module per format."""

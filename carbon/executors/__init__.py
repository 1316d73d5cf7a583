"""Where jobs run: one contract, one module per engine."""

"""What counts of right and wrong answers say of quality and fairness. Pure NumPy."""

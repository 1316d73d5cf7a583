"""Issued reports in the forms that others ask for: one module per format."""

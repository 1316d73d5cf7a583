"""Issued statements: tables, restatement, explanation, audit packs, closed periods, notices."""

"""The ledger's tables and queries: SQLite and PostgreSQL, the same SQL on both.

Each module holds one noun: its tables first, then its queries, each a function that takes a
connection. Transactions belong to the services.
"""

"""Roles of PostgreSQL that read one team's rows and nothing else: for a team's own SQL or Grafana.

Row-level security holds for them alone. The service connects as the owner of the tables, whom it
does not bind, and filters by principal; raw readings, keys and documents are granted to nobody.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from carbon.errors import InvalidInput, NotFound

#: Of a policy's table which of its rows are the team's.
_OWN_WORKLOADS = "workload_id IN (SELECT id FROM workload WHERE team_id = {team_id})"
_OWN = {
    "team": "id = {team_id}",
    "workload": "team_id = {team_id}",
    "run": _OWN_WORKLOADS,
    "quarter_hour": _OWN_WORKLOADS,
    "workload_hour": _OWN_WORKLOADS,
    "workload_day": _OWN_WORKLOADS,
    "device_hour": _OWN_WORKLOADS,
    "device_day": _OWN_WORKLOADS,
    "device_month": _OWN_WORKLOADS,
}
#: Without anything of a team in them.
_SHARED = ("rating", "device_model")
_POLICY = "carbon_reader_{role}"


def may_read(connection: Connection, role: str, team: str) -> list[str]:
    """Lets an existing role read a team's rows; answers the tables. Said again with another team
    it reads that one instead.

    Raises InvalidInput(`not_postgresql`, `invalid_role`) and NotFound(`unknown_role`,
    `unknown_team`).
    """
    _check(connection, role)
    query = text("SELECT id FROM team WHERE name = :name")
    team_id = connection.scalar(query, {"name": team})
    if team_id is None:
        raise NotFound("unknown_team", f"no team {team!r}")
    for table, own in _OWN.items():
        connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        _drop(connection, role, table)
        connection.exec_driver_sql(
            f"CREATE POLICY {_POLICY.format(role=role)} ON {table} FOR SELECT TO {role} "
            f"USING ({own.format(team_id=int(team_id))})"
        )
    tables = [*_OWN, *_SHARED]
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {_schema(connection)} TO {role}")
    connection.exec_driver_sql(f"GRANT SELECT ON {', '.join(tables)} TO {role}")
    return tables


def may_read_no_longer(connection: Connection, role: str) -> None:
    """Raises as `may_read` does."""
    _check(connection, role)
    for table in _OWN:
        _drop(connection, role, table)
    connection.exec_driver_sql(f"REVOKE SELECT ON {', '.join([*_OWN, *_SHARED])} FROM {role}")
    connection.exec_driver_sql(f"REVOKE USAGE ON SCHEMA {_schema(connection)} FROM {role}")


def _schema(connection: Connection) -> str:
    """Where the tables are, quoted: not everybody may look into it where an administrator has taken
    that from PUBLIC, or made the schema anew."""
    quoted = connection.scalar(text("SELECT quote_ident(current_schema())"))
    assert quoted is not None
    return str(quoted)


def _drop(connection: Connection, role: str, table: str) -> None:
    connection.exec_driver_sql(f"DROP POLICY IF EXISTS {_POLICY.format(role=role)} ON {table}")


def _check(connection: Connection, role: str) -> None:
    if connection.dialect.name != "postgresql":
        raise InvalidInput(
            "not_postgresql", "a SQLite file has no roles: whoever reads it, reads all"
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,47}", role):
        raise InvalidInput("invalid_role", "a role is written in a-z, 0-9 and _, 48 at most")
    known = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :role")
    is_above = connection.scalar(known, {"role": role})
    if is_above is None:
        raise NotFound("unknown_role", f"no role {role!r}: CREATE ROLE {role} LOGIN PASSWORD '…'")
    if is_above:
        raise InvalidInput("invalid_role", f"{role} is above row-level security and reads all")

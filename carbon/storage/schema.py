"""What all tables share."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, SmallInteger
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Epoch milliseconds, UTC.
Ms: type[TypeEngine[int]] = BigInteger
#: mJ and ng.
Amount: type[TypeEngine[int]] = BigInteger
#: Surrogate ids; SQLite counts them up only for INTEGER.
Id: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
Code: type[TypeEngine[int]] = SmallInteger

"""Both services over the files of one directory, whoever asks: a session of this process, or a socket."""

from __future__ import annotations

from pathlib import Path

from vault.embedded import administration, items, sealing, tables, transactions
from vault.embedded.access import DYNAMODB, KMS, Roles
from vault.embedded.database import Database
from vault.embedded.wire import Service


def services(directory: Path, roles: Roles | None = None) -> dict[str, Service]:
    """What answers DynamoDB and KMS, by the name of the service. Without `roles` everybody may do everything."""
    database = Database(directory)
    require = roles.require if roles else None
    return {
        DYNAMODB: Service(
            name=DYNAMODB,
            database=database,
            target="DynamoDB_20120810",
            error_prefix="com.amazonaws.dynamodb.v20120810#",
            internal_error="InternalServerError",
            operations=tables.OPERATIONS | items.OPERATIONS | transactions.OPERATIONS,
            require=require,
        ),
        KMS: Service(
            name=KMS,
            database=database,
            target="TrentService",
            error_prefix="",
            internal_error="KMSInternalException",
            operations=administration.OPERATIONS | sealing.OPERATIONS,
            require=require,
        ),
    }

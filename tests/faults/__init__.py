"""Faults at named points of the real product: what happens when a process dies, or AWS, SQL or a disk fails, just then.

The product knows nothing of it. Points are hooks on what is between it and the world: botocore's events, Django's
connections, the logger of the audit log. A fault is one line, an act and the point where it happens:

    kill before COMMIT of orders_order          lose after COMMIT of orders_order
    kill after event tokenize intent            disconnect before COMMIT of orders_order
    kill after call TransactWriteItems #3       fail:ThrottlingException before call Decrypt #*
    kill before write of vault_run              pause:2 before call GenerateDataKey

`#3` is the third time, `#*` every time, and nothing the first. `tests.faults.acts` has the acts and
`tests.faults.points` the points. To add a trial:

1. In another process: `installation.start("vault_import", ..., faults=["kill after call TransactWriteItems #3"])`,
   `installation.script(...)` and `serving(installation, 1, faults=[...])` take the same; so does any command,
   `python -m tests.faults FAULT... -- manage.py vault_fsck`, and any script: `Faults(["..."]).install()`.
2. In this one: the fixture `faults`, with `faults.add("...")`, before the vault is used; a test that commits needs
   `transaction=True`. To see what AWS was asked, or to let it fail for a while, there is `tests.wire`.
3. Let it happen, and then ask the product what is left: `vault_fsck`, the API, `rows_of(installation)`.
4. `tests.faults.sql` blocks, deadlocks and stops a real MariaDB; `tests.faults.disks` has real disks that fill up.
"""

from tests.faults.acts import ACTS
from tests.faults.points import Faults, Moment, Point

__all__ = ["ACTS", "Faults", "Moment", "Point"]

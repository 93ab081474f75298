"""What AWS asks for what the vault uses, in US dollars, on demand, without free tiers and discounts.

List prices of US East (N. Virginia) as known in November 2026. The newest published copies that could be read then were
of March 2026 (KMS) and July 2025 (DynamoDB): look at aws.amazon.com/kms/pricing and /dynamodb/pricing before you sign
anything. KMS has one price everywhere; DynamoDB is up to a quarter dearer in Europe.
"""

from typing import Final

DATED: Final = "2026-11"

KMS_REQUESTS: Final = 0.03 / 10_000
KMS_KEY_MONTH: Final = 1.00
WRITE_UNITS: Final = 0.625 / 1_000_000
READ_UNITS: Final = 0.125 / 1_000_000
STORAGE_GB_MONTH: Final = 0.25
RECOVERY_GB_MONTH: Final = 0.20
DATA_EVENTS: Final = 0.10 / 100_000

"""CloudTrail's record of KMS held against the audit log: what opened a card and is not in our books.

Knows neither Django nor AWS's clients: records and audited reads come in as arguments.
"""

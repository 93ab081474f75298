"""What earlier versions wrote, and every later one must read: cards, fingerprints, audit log, seals, certificates.

One folder for each version of the record schema. It holds a whole small vault (the tables of the embedded engines as
SQL, with KMS's keys in them, and the key file that wraps these) and `golden.json`: the rows of SQL beside it, and
whatever else outlives a version. The keys are nobody's, and the cards are published numbers that are named by their
place in tests/cards.py: no digits stand in here.

A new version of a format is a new folder beside the old ones, which are never changed:

    GOLDEN=schema2 .venv/bin/python -m pytest tests/golden -k written
"""

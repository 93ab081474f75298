"""The scripts of pages that have a card number: which belong there, and whether others are (PCI DSS 6.4.3, 11.6.1)."""

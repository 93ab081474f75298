"""What an assessor for PCI DSS is handed: for each requirement the machine-readable proof that there is."""

"""The accounts of a vault that is killed again and again: whatever was acknowledged is there, once, and nothing leaked.

Workers carry out operations that a seed draws, and each keeps a book of what it was about to do and what it was
answered. Meanwhile processes are killed, connections are cut and AWS fails. Afterwards the books are compared with
what the two stores have. `operations` draws, `book` remembers, `worker` carries out, `faults` is what goes wrong,
`run` starts and kills, `balance` compares, and `search` looks for card numbers on the disk. See docs/accounting.md.
"""

"""Cards from a file into the vault, each row once, whatever happens to the process in between.

`columns` finds the card number among the columns, `rows` judges one row, `reading` streams a file, `journal` is what a
killed import goes on from, and `running` brings them together.
"""

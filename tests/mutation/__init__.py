"""Mutation testing: what the tests of the innermost rooms would not notice.

mutmut changes one thing in a function, such as a `<` to a `<=`, and runs the tests that call it. A change that no test
notices is a survivor. Those that do not matter stand with a reason in docs/mutants.md; any other is an error:

    make mutants MUTANTS="pan tokens"
"""

"""The table of members: what this simulator does with each member of each operation that it answers.

`shapes` checks a value, `member` says what is done with it, the other modules have the rows, `check` applies them.
"""

"""`penstock export`: the same site in the words of another program, one module for each.

A module turns a Deployment into files and notes, and writes nothing. What the other program cannot say is a note,
never silence.
"""

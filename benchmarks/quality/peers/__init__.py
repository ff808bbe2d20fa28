"""Other people's generators, each run in an environment of its own: nothing here may import ours, and ours
imports nothing of theirs.
"""

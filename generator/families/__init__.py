"""Families of generators. How one is added is said in `family.py`."""

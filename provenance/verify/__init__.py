"""Verification of a data set: numbered checks over chain data and files, no backend and no trust in either.

`dataset.verify_dataset` gives a Certificate; `report` prints it. Normative text: docs/spec/verification.md.
"""

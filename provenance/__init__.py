"""What an auditor must understand and no more: formats, exact sampling, trees, signatures, verification.

Importing this package costs milliseconds: nothing is re-exported here, import the module that owns the idea.
"""

"""Training: private tables in, quantised exact generators out. The only package that imports torch."""

"""Training: private tables in, quantised exact generators out. The only package that imports torch.

Its Python interface is `tessera.fit`. Nothing is imported here, so that the coordinator, which needs neither
torch nor the fit, starts quickly.
"""

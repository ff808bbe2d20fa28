"""Files in, files out: what `fit`, `sample` and `evaluate` do on one machine."""

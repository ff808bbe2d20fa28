"""Differential privacy: accounting, noise and the privacy statement. Knows nothing of training or of federation."""

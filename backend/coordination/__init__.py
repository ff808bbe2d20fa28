"""Jobs for the coordinator worker: train, then score."""

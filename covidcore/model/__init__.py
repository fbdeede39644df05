"""The network: its architecture, weights, preprocessing and checkpoints."""

"""Hyperparameter studies of PyTorch Lightning models that end in conclusions you can trust."""

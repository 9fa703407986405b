"""The additive Gaussian process behind the shares of variance: its covariance, its hyperparameters, its draws."""

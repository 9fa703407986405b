"""One trial: from a point to a config to a training to an outcome. `objective` is the place to start reading."""

"""Several processes that train one trial together, one a device."""

"""One file per built-in study; each holds one `STUDY`."""

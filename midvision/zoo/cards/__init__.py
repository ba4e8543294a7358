"""One file per method; each says `CARDS = (...)`."""

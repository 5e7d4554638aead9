"""One file per case, each with a CASE; found by their presence."""

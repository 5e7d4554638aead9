"""Benchmarks of alphacl_fast: cases x providers x rounds (see README.md in this folder)."""

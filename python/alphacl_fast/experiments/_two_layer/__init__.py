"""The published two-layer experiment: its settings, its stream of data, its network, its measures."""

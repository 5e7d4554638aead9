"""Theory of what a one-layer network learns: the local maxima of the energies of its nodes."""

from alphacl_fast.theory.local_maxima import LocalMaxima, find_local_maxima

__all__ = ["LocalMaxima", "find_local_maxima"]

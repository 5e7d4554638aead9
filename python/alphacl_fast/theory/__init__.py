"""Theory of what a one-layer network learns: maxima of the energy, their stability, and what importances change."""

from alphacl_fast.theory import plots
from alphacl_fast.theory.eigenvalues import spectral_gap, top_eigenvalue
from alphacl_fast.theory.kernel_lemma import KernelDecomposition, kernel_decomposition, kernel_features
from alphacl_fast.theory.local_maxima import LocalMaxima, find_local_maxima
from alphacl_fast.theory.roughness import ReluRoughness, local_roughness, roughness_relu_density
from alphacl_fast.theory.spectra import Spectrum, spectrum
from alphacl_fast.theory.stability import Stability, stability
from alphacl_fast.theory.whitening import Whitened, whiten

__all__ = [
    "KernelDecomposition",
    "LocalMaxima",
    "ReluRoughness",
    "Spectrum",
    "Stability",
    "Whitened",
    "find_local_maxima",
    "kernel_decomposition",
    "kernel_features",
    "local_roughness",
    "plots",
    "roughness_relu_density",
    "spectral_gap",
    "spectrum",
    "stability",
    "top_eigenvalue",
    "whiten",
]

from __future__ import annotations

from typing import Any

from alphacl_fast._arrays import like, operand, refuse_grad, result
from alphacl_fast._backend import cpu
from alphacl_fast.activations import compiled_form
from alphacl_fast.importance import NodeGaussian, compile_for


def gated_outer(x: Any, omega: Any, *, out: Any = None) -> Any:
    """out_k = Σ_i ω_ik x_i x_iᵀ, the weighted outer products of the samples for K nodes at once.

    x : (N, d) float32 or float64; omega : (N, K) like x, any sign; terms of weight 0 cost nothing.
    out : (K, d, d) C-contiguous array or tensor to write to.

    Returns (K, d, d), each exactly symmetric; sums of 256 products at a time are added in double. NaN in gives NaN out
    where its weight is not 0.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: d² / 2 multiply-adds per weight that is not 0; memory O(d²) per thread beside the result.
    Source: spec "gated outer products"; derived.
    """
    a, w = operand("x", x), operand("omega", omega)
    like(w, a, shape=False)
    if w.shape[0] != a.shape[0]:
        raise ValueError(f"omega: expected {a.shape[0]} rows like x, got shape {w.shape}")
    refuse_grad("gated_outer", a, w)
    answer, array = result((w.shape[1], a.shape[1], a.shape[1]), a, out)
    if array.size:
        cpu().gated_outer(a.array, w.array, array)
    return answer


def gated_cov(x: Any, x_aug: Any, weights: Any, *, activation: Any = "relu", alpha: Any = None, out: Any = None) -> Any:
    """A(w_k) = C_α[x h'(w_kᵀx)], the contrastive covariance of the gated data of each of K nodes.

    x, x_aug : (N, d) float32 or float64, two augmented views; each is gated by its own pre-activation.
    weights : (K, d), the nodes. activation : "linear", "relu" (closed at 0), LeakyReLU(slope) or Monomial(q).
    alpha : an importance over the N samples shared by all nodes, or NodeGaussian(tau); None is uniform.
    out : (K, d, d) C-contiguous array or tensor to write to.

    Returns (K, d, d), each exactly symmetric. wᵀA(w)w = c² C_α[h(wᵀx)], c = 1 (q for u^q). NaN in gives NaN out.
    Raises TypeError or ValueError naming the argument, what was expected and what came.
    Cost: per node Nd² multiply-adds times the share of open gates (uniform; plus Npd for a low-rank or scalar
    importance of rank p, (share · N)²(m + d) for tiles); memory O(N·min(K, 64)) beside data and result.
    Source: poster, "1-layer nonlinear network"; the form with three weighted Gram matrices: derived.
    """
    a, b, w = operand("x", x), operand("x_aug", x_aug), operand("weights", weights, samples="node")
    like(b, a)
    like(w, a, shape=False)
    if w.shape[1] != a.shape[1]:
        raise ValueError(f"weights: expected shape (K, {a.shape[1]}) for x of shape {a.shape}, got {w.shape}")
    name, parameter = compiled_form(activation)
    refuse_grad("gated_cov", a, b, w)
    if isinstance(alpha, NodeGaussian):
        x0 = alpha.inputs(a)
        refuse_grad("gated_cov", x0)
        answer, array = result((w.shape[0], a.shape[1], a.shape[1]), a, out)
        cpu().gated_cov_node_gaussian(
            a.array, b.array, w.array, name, parameter, alpha.tau, alpha.sup_error(a.dtype), x0.array, array
        )
        return answer
    compiled = compile_for("gated_cov", alpha, a)
    answer, array = result((w.shape[0], a.shape[1], a.shape[1]), a, out)
    cpu().gated_cov(a.array, b.array, w.array, name, parameter, compiled, array)
    return answer

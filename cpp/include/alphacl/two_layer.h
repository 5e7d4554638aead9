// Training of the two-layer network of the published experiment (arXiv 2206.01342, section 5) on batches of tokens.
#pragma once

#include <cstdint>

#include "alphacl/view.h"

namespace alphacl {

enum class TwoLayerActivation { relu, linear, leaky, sigmoid, square };

/// N samples of K tokens out of T, M nodes per location, m outputs.
struct TwoLayerSizes {
  index_t samples, locations, tokens, nodes, outputs;
};

struct TwoLayerOptions {
  TwoLayerActivation activation;
  bool batch_norm;
  bool backprop_mean, backprop_var;  // false: that statistic of BatchNorm is a constant in the gradient
  bool quadratic;                    // the loss: quadratic, or InfoNCE
  double temperature, lr, momentum, weight_decay;
};

/// Weights or their speeds: first (K, T, M), second (m, K·M).
template <class T>
struct TwoLayerWeights {
  T* first;
  T* second;
};

/// With u_k row `token_k` of first[k], of both views:
///   f = second · BN(h(u_1), …, h(u_K)),  z = f/‖f‖,  S = z zᵀ with z_i·z'_i on its diagonal
///   InfoNCE: mean_i of logsumexp_j(S_ij/τ) − S_ii/τ;   quadratic: (mean of S − (1 + 1/N) mean of its diagonal)/τ
/// one step per batch: speed ← momentum · speed + gradient + weight_decay · w, w ← w − lr · speed.
/// tokens, tokens_aug: steps × N × K; losses: of each batch before its step.
/// Cost of a step: 12 T K M m + 4 N K m operations, N² (6 m + an exponential); one thread. Type T: float or double.
template <class T>
void train_two_layer(const TwoLayerSizes& sizes, const TwoLayerOptions& options, const TwoLayerWeights<T>& weights,
                     const TwoLayerWeights<T>& speeds, index_t steps, const std::int64_t* tokens,
                     const std::int64_t* tokens_aug, double* losses);

}  // namespace alphacl

// Binds the two-layer experiment: batches of tokens, and steps of its network on them.
#include <pybind11/stl.h>

#include <string>

#include "alphacl/token_stream.h"
#include "alphacl/two_layer.h"
#include "arrays.h"

namespace alphacl::bindings {
namespace {

using Tokens = py::array_t<std::int64_t>;
using Losses = py::array_t<double>;

void check_tokens(const char* name, const std::int64_t* tokens, index_t count, std::int64_t least, index_t most) {
  for (index_t i = 0; i < count; ++i)
    if (tokens[i] < least || tokens[i] >= most)
      refuse(name, "tokens from " + std::to_string(least) + " to " + std::to_string(most - 1),
             std::to_string(tokens[i]));
}

// (steps, N, K)
struct Batches {
  index_t steps, samples, locations;
  explicit Batches(const char* name, const Tokens& a) {
    if (a.ndim() != 3) refuse(name, "shape " + shape_text({any, any, any}), shape_text(a));
    steps = a.shape(0), samples = a.shape(1), locations = a.shape(2);
    if (samples < 1 || locations < 1) refuse(name, "at least one sample and location", shape_text(a));
  }
};

void draw(const Tokens& patterns, index_t tokens, index_t redrawn, py::array_t<std::uint32_t>& state, Tokens& first,
          Tokens& second) {
  const Batches size("first", first);
  if (patterns.ndim() != 2 || patterns.shape(0) < 1)
    refuse("patterns", "shape " + shape_text({any, size.locations}), shape_text(patterns));
  if (tokens < 1 || tokens >= index_t{1} << 31) refuse("tokens", "a count from 1 to 2^31 - 1", std::to_string(tokens));
  check_at_least("redrawn", redrawn, 0);
  const index_t count = patterns.shape(0);
  const TokenPatterns from{entries<std::int64_t>("patterns", patterns, {count, size.locations}), count, size.locations,
                           tokens, redrawn};
  check_tokens("patterns", from.patterns, count * size.locations, wildcard, tokens);
  std::uint32_t* words = mutable_entries<std::uint32_t>("state", state, {mt19937_words});
  if (words[mt19937_words - 1] > mt19937_words - 1) refuse("state", "at most 624 used words", "more");
  auto* a = mutable_entries<std::int64_t>("first", first, {size.steps, size.samples, size.locations});
  auto* b = mutable_entries<std::int64_t>("second", second, {size.steps, size.samples, size.locations});
  const Released released;
  draw_token_batches(from, words, size.steps, size.samples, a, b);
}

TwoLayerActivation activation_named(const std::string& name) {
  if (name == "relu") return TwoLayerActivation::relu;
  if (name == "linear") return TwoLayerActivation::linear;
  if (name == "leaky") return TwoLayerActivation::leaky;
  if (name == "sigmoid") return TwoLayerActivation::sigmoid;
  if (name == "square") return TwoLayerActivation::square;
  throw py::value_error("activation: expected relu, linear, leaky, sigmoid or square, got " + name);
}

template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  m.def(
      "train_two_layer",
      [](Array& first, Array& second, Array& first_speed, Array& second_speed, const Tokens& tokens,
         const Tokens& tokens_aug, const std::string& activation, bool batch_norm, bool backprop_mean,
         bool backprop_var, bool quadratic, double temperature, double lr, double momentum, double weight_decay,
         Losses& losses) {
        const Batches given("tokens", tokens);
        if (first.ndim() != 3 || first.shape(1) < 1 || first.shape(2) < 1)
          refuse("first", "shape " + shape_text({given.locations, any, any}), shape_text(first));
        if (second.ndim() != 2 || second.shape(0) < 1)
          refuse("second", "shape " + shape_text({any, given.locations * first.shape(2)}), shape_text(second));
        const TwoLayerSizes size{given.samples, given.locations, first.shape(1), first.shape(2), second.shape(0)};
        const index_t width = size.locations * size.nodes;
        const auto of = [&](const char* a, Array& x, const char* b, Array& y) {
          return TwoLayerWeights<T>{mutable_entries<T>(a, x, {size.locations, size.tokens, size.nodes}),
                                    mutable_entries<T>(b, y, {size.outputs, width})};
        };
        const auto weights = of("first", first, "second", second);
        const auto speeds = of("first_speed", first_speed, "second_speed", second_speed);
        const auto* a = entries<std::int64_t>("tokens", tokens, {given.steps, size.samples, size.locations});
        const auto* b = entries<std::int64_t>("tokens_aug", tokens_aug, {given.steps, size.samples, size.locations});
        const index_t count = given.steps * size.samples * size.locations;
        check_tokens("tokens", a, count, 0, size.tokens);
        check_tokens("tokens_aug", b, count, 0, size.tokens);
        check_positive("temperature", temperature);
        const TwoLayerOptions options{activation_named(activation),
                                      batch_norm,
                                      backprop_mean,
                                      backprop_var,
                                      quadratic,
                                      temperature,
                                      lr,
                                      momentum,
                                      weight_decay};
        double* out = mutable_entries<double>("losses", losses, {given.steps});
        const Released released;
        train_two_layer<T>(size, options, weights, speeds, given.steps, a, b, out);
      },
      py::arg("first").noconvert(), py::arg("second").noconvert(), py::arg("first_speed").noconvert(),
      py::arg("second_speed").noconvert(), py::arg("tokens").noconvert(), py::arg("tokens_aug").noconvert(),
      py::arg("activation"), py::arg("batch_norm"), py::arg("backprop_mean"), py::arg("backprop_var"),
      py::arg("quadratic"), py::arg("temperature"), py::arg("lr"), py::arg("momentum"), py::arg("weight_decay"),
      py::arg("losses").noconvert());
}

}  // namespace

void register_two_layer(py::module_& m) {
  m.def("draw_token_batches", &draw, py::arg("patterns").noconvert(), py::arg("tokens"), py::arg("redrawn"),
        py::arg("state").noconvert(), py::arg("first").noconvert(), py::arg("second").noconvert());
  register_for<float>(m);
  register_for<double>(m);
}

}  // namespace alphacl::bindings

// Binds the operator of gated covariances and the climb of nodes.
#include <pybind11/numpy.h>

#include <memory>
#include <mutex>

#include "bindings/eigenpair_tensors.h"
#include "bindings/layer_tensors.h"
#include "nodes/climb.h"
#include "nodes/gated_operator.h"
#include "runtime/copies.h"

namespace alphacl::cuda::bindings {
namespace {

// A layer and what it has computed of its data.
template <class S>
struct HeldLayer {
  std::vector<py::object> read;  // the tensors and the importance that it goes on reading
  TorchMemory memory;
  Layer<S> layer;

  HeldLayer(LayerTensors<S>& given, std::vector<py::object> objects, const Activation& h,
            const NodeImportance<S>& alpha)
      : read(std::move(objects)),
        memory(given.first.device),
        layer(layer_of(given.on.stream(), memory, given.x, given.x_aug, h, alpha)) {}
  const py::object& device() const { return memory.device(); }
};

// Copied: the core uses these numbers as indices, and Python could change the array meanwhile.
std::vector<int> rising_indices(const char* name, const py::array_t<std::int64_t>& a, index_t count, index_t end) {
  if (a.ndim() != 1 || a.shape(0) != count) refuse(name, "shape (" + std::to_string(count) + ",)", "another shape");
  std::vector<int> indices;
  std::int64_t least = 0;
  for (py::ssize_t i = 0; i < a.shape(0); ++i) {
    const std::int64_t index = *a.data(i);
    if (index < least || index >= end)
      refuse(name, "rising indices below " + std::to_string(end), std::to_string(index));
    indices.push_back(static_cast<int>(index));
    least = index + 1;
  }
  return indices;
}

// The weights whose outputs a frozen importance compares; None: those of the nodes.
template <class S>
View<const S> compared_nodes(const CurrentStream& on, View<const S> weights, const py::object& alpha_weights) {
  const auto compared = optional_tensor("alpha_weights", alpha_weights);
  if (!compared) return {nullptr, 0, 0, 0};
  on.check("alpha_weights", compared->device);
  return view<S>("alpha_weights", *compared, weights.rows, weights.cols);
}

// The operator, with the tensors that it reads.
template <class S>
class OperatorObject {
 public:
  OperatorObject(std::shared_ptr<const HeldLayer<S>> layer, const py::object& weights, const py::object& alpha_weights)
      : layer_(std::move(layer)),
        weights_(weights),
        alpha_weights_(alpha_weights),
        operator_(made(*layer_, weights, alpha_weights)) {}

  std::unique_ptr<OperatorObject> with_weights(const py::object& weights) const {
    return std::make_unique<OperatorObject>(layer_, weights, alpha_weights_);
  }
  void matmul(const py::object& v, const py::array_t<std::int64_t>& active, const py::object& out) const {
    const Tensor from("v", v), to("out", out);
    const View<const S> vectors = view<S>("v", from, any, operator_.size());
    const std::vector<int> which = rising_indices("active", active, vectors.rows, operator_.count());
    const View<S> result = mutable_view<S>("out", to, vectors.rows, vectors.cols);
    CurrentStream on(layer_->device());
    on.check("v", from.device);
    on.check("out", to.device);
    if (vectors.cols > 0) operator_.matmul(on.stream(), which, vectors, result);
  }
  void iterate(const EigenpairTensors& given, const PowerOptions& options) const {
    if (operator_.size() == 0) refuse("features", "at least 1", "0");
    CurrentStream on(layer_->device());
    given.check(on);
    const index_t count = operator_.count(), d = operator_.size();
    power_iteration<S>(on.stream(), operator_, given.starts<S>(count, d), options, given.results<S>(count, d));
  }
  void apart(const py::object& apart, const py::object& sizes, const PowerOptions& options,
             const py::object& eigenvalue, const py::object& converged) const {
    const Tensor vectors("apart", apart), least("sizes", sizes), values("eigenvalue", eigenvalue),
        done("converged", converged);
    CurrentStream on(layer_->device());
    on.check("apart", vectors.device);
    on.check("sizes", least.device);
    on.check("eigenvalue", values.device);
    on.check("converged", done.device);
    const index_t count = operator_.count();
    top_eigenvalue_apart<S>(on.stream(), operator_, view<S>("apart", vectors, count, operator_.size()),
                            entries<S>("sizes", least, {count}), options, entries<S>("eigenvalue", values, {count}),
                            entries<bool>("converged", done, {count}));
  }

 private:
  static GatedOperator<S> made(const HeldLayer<S>& layer, const py::object& weights, const py::object& alpha_weights) {
    CurrentStream on(layer.device());
    const Tensor nodes("weights", weights);
    on.check("weights", nodes.device);
    const View<const S> w = view<S>("weights", nodes, any, layer.layer.features());
    return {layer.layer, w, compared_nodes(on, w, alpha_weights)};
  }

  std::shared_ptr<const HeldLayer<S>> layer_;
  py::object weights_, alpha_weights_;
  GatedOperator<S> operator_;
};

template <class S>
std::shared_ptr<const HeldLayer<S>> shared_layer(const py::object& x, const py::object& x_aug,
                                                 const py::object& weights, const Activation& h,
                                                 const ImportanceObject<S>& alpha) {
  LayerTensors<S> given(x, x_aug, weights);
  return std::make_shared<HeldLayer<S>>(given, std::vector<py::object>{x, x_aug, py::cast(&alpha)}, h,
                                        given.shared(alpha));
}

template <class S>
std::shared_ptr<const HeldLayer<S>> own_layer(const py::object& x, const py::object& x_aug, const py::object& weights,
                                              const Activation& h, const py::object& x0, double tau,
                                              const py::object& alpha_weights) {
  LayerTensors<S> given(x, x_aug, weights);
  compared_nodes(given.on, given.weights, alpha_weights);  // refuses before anything is computed
  return std::make_shared<HeldLayer<S>>(given, std::vector<py::object>{x, x_aug, x0}, h, given.own(x0, tau));
}

template <class S>
void register_operator(py::module_& m, const char* name) {
  using Operator = OperatorObject<S>;
  py::class_<Operator>(m, name)
      .def(py::init([](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& h,
                       double parameter, const ImportanceObject<S>& alpha) {
             return std::make_unique<Operator>(shared_layer(x, x_aug, weights, activation(h, parameter), alpha),
                                               weights, py::none());
           }),
           py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"),
           py::arg("alpha"))
      .def(py::init([](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& h,
                       double parameter, const py::object& x0, double tau, double, const py::object& alpha_weights) {
             const Activation act = activation(h, parameter);
             return std::make_unique<Operator>(own_layer<S>(x, x_aug, weights, act, x0, tau, alpha_weights), weights,
                                               alpha_weights);
           }),
           py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"),
           py::arg("x0"), py::arg("tau"), py::arg("tol"), py::arg("alpha_weights") = py::none())
      .def(
          "with_weights", [](const Operator& a, const py::object& weights) { return a.with_weights(weights); },
          py::arg("weights"))
      .def("matmul", &Operator::matmul, py::arg("v"), py::arg("active").noconvert(), py::arg("out"))
      .def(
          "power_iteration",
          [](const Operator& a, const py::object& v0, double tol, index_t max_iter, bool lanczos, std::uint64_t seed,
             const py::object& eigenvalue, const py::object& eigenvector, const py::object& gap,
             const py::object& residual, const py::object& n_iter, const py::object& converged) {
            a.iterate({v0, eigenvalue, eigenvector, gap, residual, n_iter, converged},
                      power_options(tol, max_iter, lanczos, seed));
          },
          py::arg("v0"), py::arg("tol"), py::arg("max_iter"), py::arg("lanczos"), py::arg("seed"),
          py::arg("eigenvalue"), py::arg("eigenvector"), py::arg("gap"), py::arg("residual"), py::arg("n_iter"),
          py::arg("converged"))
      .def(
          "top_eigenvalue_apart",
          [](const Operator& a, const py::object& apart, const py::object& sizes, double tol, index_t max_iter,
             std::uint64_t seed, const py::object& eigenvalue, const py::object& converged) {
            a.apart(apart, sizes, power_options(tol, max_iter, true, seed), eigenvalue, converged);
          },
          py::arg("apart"), py::arg("sizes"), py::arg("tol"), py::arg("max_iter"), py::arg("seed"),
          py::arg("eigenvalue"), py::arg("converged"));
}

// A climb with the sizes that its results are checked against. One caller at a time: a step changes it.
template <class S>
class ClimbObject {
 public:
  ClimbObject(std::shared_ptr<const HeldLayer<S>> layer, const py::object& weights, bool frozen, double tol)
      : layer_(std::move(layer)) {
    if (layer_->layer.features() == 0) refuse("features", "at least 1", "0");
    const View<const S> starts = view<S>("weights", Tensor("weights", weights), any, layer_->layer.features());
    nodes_ = starts.rows;
    if (nodes_ > most_nodes)
      refuse("weights", "at most " + std::to_string(most_nodes) + " nodes", std::to_string(nodes_));
    CurrentStream on(layer_->device());
    climb_ = std::make_unique<Climb<S>>(on.stream(), layer_->layer, starts, ClimbOptions{tol, frozen});
  }

  index_t step() {
    const auto lock = alone();
    CurrentStream on(layer_->device());
    return climb_->step(on.stream());
  }
  void finish() {
    const auto lock = alone();
    CurrentStream on(layer_->device());
    climb_->finish(on.stream());
  }
  void write(const py::object& weights, const py::object& eigenvalue, const py::object& residual,
             const py::object& energy, const py::object& steps, const py::object& converged) {
    const auto lock = alone();
    const index_t d = layer_->layer.features();
    Buffer<S> vectors(nodes_ * d), values(nodes_), residuals(nodes_), energies(nodes_);
    Buffer<std::int64_t> counts(nodes_);
    Buffer<bool> done(nodes_);
    climb_->write({vectors.data(), values.data(), residuals.data(), energies.data(), counts.data(), done.data()});
    CurrentStream on(layer_->device());
    // All are checked before the first is written.
    const ClimbResult<S> to{
        place<S>(on, "weights", weights, {nodes_, d}),     place<S>(on, "eigenvalue", eigenvalue, {nodes_}),
        place<S>(on, "residual", residual, {nodes_}),      place<S>(on, "energy", energy, {nodes_}),
        place<std::int64_t>(on, "steps", steps, {nodes_}), place<bool>(on, "converged", converged, {nodes_})};
    give(on, vectors, to.weights);
    give(on, values, to.eigenvalue);
    give(on, residuals, to.residual);
    give(on, energies, to.energy);
    give(on, counts, to.steps);
    give(on, done, to.converged);
  }

 private:
  template <class T>
  static T* place(const CurrentStream& on, const char* name, const py::object& t,
                  std::initializer_list<index_t> shape) {
    const Tensor to(name, t);
    on.check(name, to.device);
    return entries<T>(name, to, shape);
  }
  template <class T>
  static void give(CurrentStream& on, const Buffer<T>& from, T* to) {
    copy_to_device(on.stream(), from.data(), static_cast<std::size_t>(from.size()) * sizeof(T), to);
  }
  // No waiting: the other caller may be this very thread, in a signal handler.
  std::unique_lock<std::mutex> alone() {
    std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock) throw std::runtime_error("Climb: expected one caller at a time");
    return lock;
  }

  static constexpr index_t most_nodes = 65535;  // rows of blocks of a launch; find_local_maxima takes far fewer

  std::shared_ptr<const HeldLayer<S>> layer_;
  index_t nodes_ = 0;
  std::unique_ptr<Climb<S>> climb_;
  std::mutex mutex_;
};

template <class S>
void register_climb(py::module_& m, const char* name) {
  using Object = ClimbObject<S>;
  py::class_<Object>(m, name)
      .def(py::init([](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& h,
                       double parameter, const ImportanceObject<S>& alpha, bool frozen, double tol) {
             check_positive("tol", tol);
             return std::make_unique<Object>(shared_layer(x, x_aug, weights, activation(h, parameter), alpha), weights,
                                             frozen, tol);
           }),
           py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"),
           py::arg("alpha"), py::arg("frozen"), py::arg("tol"))
      .def(py::init([](const py::object& x, const py::object& x_aug, const py::object& weights, const std::string& h,
                       double parameter, const py::object& x0, double tau, double, bool frozen, double tol) {
             check_positive("tol", tol);
             const Activation act = activation(h, parameter);
             return std::make_unique<Object>(own_layer<S>(x, x_aug, weights, act, x0, tau, py::none()), weights, frozen,
                                             tol);
           }),
           py::arg("x"), py::arg("x_aug"), py::arg("weights"), py::arg("activation"), py::arg("parameter"),
           py::arg("x0"), py::arg("tau"), py::arg("sup_error"), py::arg("frozen"), py::arg("tol"))
      .def("step", &Object::step)
      .def("finish", &Object::finish)
      .def("write", &Object::write, py::arg("weights"), py::arg("eigenvalue"), py::arg("residual"), py::arg("energy"),
           py::arg("steps"), py::arg("converged"))
      .def_static(
          "block",
          [](index_t n, index_t nodes) {
            if (n < 1) refuse("n", "at least 1", std::to_string(n));
            if (nodes < 1) refuse("nodes", "at least 1", std::to_string(nodes));
            return Climb<S>::block(n, nodes);
          },
          py::arg("n"), py::arg("nodes"));
}

}  // namespace

void register_gated_operator(py::module_& m) {
  register_operator<float>(m, "GatedOperator_f32");
  register_operator<double>(m, "GatedOperator_f64");
  register_climb<float>(m, "Climb_f32");
  register_climb<double>(m, "Climb_f64");
}

}  // namespace alphacl::cuda::bindings

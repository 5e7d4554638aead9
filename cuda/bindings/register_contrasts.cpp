// Binds the contrastive losses that are computed whole, and their gradients.
#include "pairs/contrasts.h"

#include "bindings/tensors.h"

namespace alphacl::cuda::bindings {
namespace {

Reduction reduction_of(const std::string& name) {
  if (const auto found = reduction_named(name)) return *found;
  refuse("reduction", "none, mean or sum", name);
}

// What both operations begin with, as Python gives it.
struct ContrastTensors {
  Tensor left, right;
  std::optional<Tensor> negatives;
  double scale;
  bool within, columns, normalize;
  Reduction reduction;
  CurrentStream on;

  ContrastTensors(const py::object& l, const py::object& r, const py::object& others, double s, bool of_one_set,
                  bool of_columns, bool units, const std::string& reduced)
      : left("left", l),
        right("right", r),
        negatives(optional_tensor("negatives", others)),
        scale(s),
        within(of_one_set),
        columns(of_columns),
        normalize(units),
        reduction(reduction_of(reduced)),
        on(left) {
    on.check("right", right.device);
    if (negatives) on.check("negatives", negatives->device);
    if (within && columns) refuse("columns", "False where within", "True");
    if (negatives && (within || columns)) refuse("negatives", "None where within or columns", "a tensor");
  }

  bool is_double() const { return bindings::is_double("left", left); }

  template <class S>
  Contrasts<S> given() const {
    const View<const S> l = view<S>("left", left), r = view<S>("right", right, l.rows, l.cols);
    Contrasts<S> g{l, r, {nullptr, 0, 0, 0}, scale, within, columns, normalize};
    if (negatives) g.negatives = view<S>("negatives", *negatives, any, l.cols);
    return g;
  }
  template <class T>
  T* numbers(const char* name, const Tensor& t, std::initializer_list<index_t> shape) const {
    on.check(name, t.device);
    return entries<T>(name, t, shape);
  }
  /// One loss without axes where they are reduced.
  template <class S>
  S* losses(const char* name, const Tensor& t, const Contrasts<S>& g) const {
    return reduction == Reduction::none ? numbers<S>(name, t, {g.anchors()}) : numbers<S>(name, t, {});
  }
  template <class S>
  View<S> gradient(const char* name, const Tensor& t, View<const S> like) const {
    on.check(name, t.device);
    return mutable_view<S>(name, t, like.rows, like.cols);
  }
};

// Scores are not kept on a device.
void refuse_kept(const py::object& kept) {
  if (!kept.is_none()) refuse("kept", "None", "a tensor");
}

// body(0.0f) or body(0.0), by the type of the features.
template <class Body>
void with_type(const ContrastTensors& given, Body&& body) {
  given.is_double() ? body(0.0) : body(0.0f);
}

bool losses(const py::object& left, const py::object& right, const py::object& negatives, double scale, bool within,
            bool columns, bool normalize, const std::string& reduction, const py::object& units,
            const py::object& saved, const py::object& kept, const py::object& out) {
  ContrastTensors a(left, right, negatives, scale, within, columns, normalize, reduction);
  const Tensor numbers("saved", saved), to("losses", out);
  const auto copied = optional_tensor("units", units);
  refuse_kept(kept);
  with_type(a, [&](auto zero) {
    using S = decltype(zero);
    const Contrasts<S> given = a.given<S>();
    const index_t all = 2 * given.left.rows + given.negatives.rows;
    S* const to_units = copied ? a.numbers<S>("units", *copied, {all, given.left.cols}) : nullptr;
    double* const to_saved = a.numbers<double>("saved", numbers, {given.saved()});
    S* const to_losses = a.losses<S>("losses", to, given);
    contrasts<S>(a.on.stream(), given, a.reduction, to_units, to_saved, to_losses);
  });
  return false;  // no scores are kept
}

void losses_gradient(const py::object& left, const py::object& right, const py::object& negatives, double scale,
                     bool within, bool columns, bool normalize, const std::string& reduction, const py::object& saved,
                     const py::object& kept, const py::object& grad_losses, const py::object& grad_left,
                     const py::object& grad_right, const py::object& grad_negatives, const py::object& grad_scale) {
  ContrastTensors a(left, right, negatives, scale, within, columns, normalize, reduction);
  const Tensor numbers("saved", saved), of_losses("grad_losses", grad_losses), to_left("grad_left", grad_left);
  const Tensor to_right("grad_right", grad_right), to_scale("grad_scale", grad_scale);
  const auto to_negatives = optional_tensor("grad_negatives", grad_negatives);
  refuse_kept(kept);
  if (to_negatives && !a.negatives) refuse("grad_negatives", "None without negatives", "a tensor");
  with_type(a, [&](auto zero) {
    using S = decltype(zero);
    const Contrasts<S> given = a.given<S>();
    const double* const from = a.numbers<double>("saved", numbers, {given.saved()});
    const S* const g = a.losses<S>("grad_losses", of_losses, given);
    const View<S> l = a.gradient<S>("grad_left", to_left, given.left);
    const View<S> r = a.gradient<S>("grad_right", to_right, given.right);
    View<S> others{nullptr, 0, 0, 0};
    if (to_negatives) others = a.gradient<S>("grad_negatives", *to_negatives, given.negatives);
    double* const of_scale = a.numbers<double>("grad_scale", to_scale, {1});
    contrasts_gradient<S>(a.on.stream(), given, a.reduction, from, g, l, r, others, of_scale);
  });
}

}  // namespace

void register_contrasts(py::module_& m) {
  m.def("contrasts", &losses, py::arg("left"), py::arg("right"), py::arg("negatives"), py::arg("scale"),
        py::arg("within"), py::arg("columns"), py::arg("normalize"), py::arg("reduction"), py::arg("units"),
        py::arg("saved"), py::arg("kept"), py::arg("losses"));
  m.def("contrasts_gradient", &losses_gradient, py::arg("left"), py::arg("right"), py::arg("negatives"),
        py::arg("scale"), py::arg("within"), py::arg("columns"), py::arg("normalize"), py::arg("reduction"),
        py::arg("saved"), py::arg("kept"), py::arg("grad_losses"), py::arg("grad_left"), py::arg("grad_right"),
        py::arg("grad_negatives"), py::arg("grad_scale"));
  m.def(
      "kept_scores",
      [](index_t rows, index_t columns) {
        if (rows < 1 || columns < 0) refuse("rows, columns", "at least 1 and 0", "fewer");
        return index_t{0};
      },
      py::arg("rows"), py::arg("columns"));
}

}  // namespace alphacl::cuda::bindings

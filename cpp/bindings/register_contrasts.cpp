// Binds the contrastive losses that are computed whole, and their gradients.
#include "alphacl/contrasts.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <utility>

#include "arrays.h"

namespace alphacl::bindings {
namespace {

Reduction reduction_of(const std::string& name) {
  if (const auto found = reduction_named(name)) return *found;
  refuse("reduction", "none, mean or sum", name);
}

using Doubles = py::array_t<double>;

constexpr index_t most_side = index_t{1} << 30;  // of a matrix of scores whose entries can be counted

template <class T>
struct ContrastArguments {
  using Array = py::array_t<T>;
  Contrasts<T> given;
  Reduction reduction;

  ContrastArguments(const Array& left, const Array& right, const std::optional<Array>& negatives, double scale,
                    bool within, bool columns, bool normalize, const std::string& reduced)
      : given{features_view<T>("left", left), {}, {nullptr, 0, 0, 0}, scale, within, columns, normalize},
        reduction(reduction_of(reduced)) {
    given.right = features_view<T>("right", right, given.left.rows, given.left.cols);
    if (within && columns) refuse("columns", "False where within", "True");
    if (!negatives) return;
    if (within || columns) refuse("negatives", "None where within or columns", "an array");
    given.negatives = features_view<T>("negatives", *negatives, any, given.left.cols);
  }

  bool reduced() const { return reduction != Reduction::none; }
  /// One loss without axes where they are reduced.
  const T* losses(const char* name, const Array& a) const {
    return reduced() ? entries<T>(name, a, {}) : entries<T>(name, a, {given.anchors()});
  }
  T* losses(const char* name, Array& a) const {
    return reduced() ? mutable_entries<T>(name, a, {}) : mutable_entries<T>(name, a, {given.anchors()});
  }
  index_t kept() const { return kept_scores(given.score_rows(), given.score_columns()); }
  View<T> negatives_gradient(std::optional<Array>& grad) const {
    if (!grad) return {nullptr, 0, 0, 0};
    if (given.negatives.data == nullptr) refuse("grad_negatives", "None without negatives", "an array");
    return mutable_view<T>("grad_negatives", *grad, given.negatives.rows, given.negatives.cols);
  }
};

template <class T>
void register_for(py::module_& m) {
  using Array = py::array_t<T>;
  using MaybeArray = std::optional<Array>;
  m.def(
      "contrasts",
      [](const Array& left, const Array& right, const MaybeArray& negatives, double scale, bool within, bool columns,
         bool normalize, const std::string& reduction, MaybeArray& units, Doubles& saved, MaybeArray& kept,
         Array& losses) {
        const ContrastArguments<T> a(left, right, negatives, scale, within, columns, normalize, reduction);
        T* rows =
            mutable_entries<T>("units", units, {2 * a.given.left.rows + a.given.negatives.rows, a.given.left.cols});
        double* numbers = mutable_entries<double>("saved", saved, {a.given.saved()});
        T* scores = mutable_entries<T>("kept", kept, {a.kept()});
        T* to = a.losses("losses", losses);
        const Released released;
        return contrasts<T>(a.given, a.reduction, rows, numbers, scores, to);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("negatives").noconvert(), py::arg("scale"),
      py::arg("within"), py::arg("columns"), py::arg("normalize"), py::arg("reduction"), py::arg("units").noconvert(),
      py::arg("saved").noconvert(), py::arg("kept").noconvert(), py::arg("losses").noconvert());
  m.def(
      "contrasts_gradient",
      [](const Array& left, const Array& right, const MaybeArray& negatives, double scale, bool within, bool columns,
         bool normalize, const std::string& reduction, const Doubles& saved, const MaybeArray& kept,
         const Array& grad_losses, Array& grad_left, Array& grad_right, MaybeArray& grad_negatives,
         Doubles& grad_scale) {
        const ContrastArguments<T> a(left, right, negatives, scale, within, columns, normalize, reduction);
        const double* numbers = entries<double>("saved", saved, {a.given.saved()});
        const T* scores = entries<T>("kept", kept, {a.kept()});
        const T* of_losses = a.losses("grad_losses", grad_losses);
        const View<T> to_left = mutable_view<T>("grad_left", grad_left, a.given.left.rows, a.given.left.cols);
        const View<T> to_right = mutable_view<T>("grad_right", grad_right, a.given.left.rows, a.given.left.cols);
        const View<T> to_negatives = a.negatives_gradient(grad_negatives);
        double* to_scale = mutable_entries<double>("grad_scale", grad_scale, {1});
        const Released released;
        *to_scale =
            contrasts_gradient<T>(a.given, a.reduction, numbers, scores, of_losses, to_left, to_right, to_negatives);
      },
      py::arg("left").noconvert(), py::arg("right").noconvert(), py::arg("negatives").noconvert(), py::arg("scale"),
      py::arg("within"), py::arg("columns"), py::arg("normalize"), py::arg("reduction"), py::arg("saved").noconvert(),
      py::arg("kept").noconvert(), py::arg("grad_losses").noconvert(), py::arg("grad_left").noconvert(),
      py::arg("grad_right").noconvert(), py::arg("grad_negatives").noconvert(), py::arg("grad_scale").noconvert());
}

}  // namespace

void register_contrasts(py::module_& m) {
  register_for<float>(m);
  register_for<double>(m);
  m.def(
      "kept_scores",
      [](index_t rows, index_t columns) {
        check_at_least("rows", rows, 1);
        check_at_least("columns", columns, 0);
        for (const auto& [name, count] : {std::pair{"rows", rows}, std::pair{"columns", columns}})
          if (count > most_side) refuse(name, "at most " + std::to_string(most_side), std::to_string(count));
        return kept_scores(rows, columns);
      },
      py::arg("rows"), py::arg("columns"));
}

}  // namespace alphacl::bindings

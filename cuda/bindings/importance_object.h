// An importance as Python holds it: with the tensors that it reads and the memory that it computed for itself.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "bindings/tensors.h"
#include "importances/importance.h"

namespace alphacl::cuda::bindings {

template <class S>
class ImportanceObject {
 public:
  /// An importance that reads no memory, and so fits every device.
  explicit ImportanceObject(std::unique_ptr<Importance<S>> alpha) : alpha_(std::move(alpha)) {}

  /// make(stream, memory) gives the importance; `read` are the tensors that it goes on reading.
  template <class F>
  ImportanceObject(const py::object& device, std::vector<py::object> read, F&& make)
      : read_(std::move(read)), memory_(std::make_unique<TorchMemory>(device)) {
    CurrentStream on(device);
    for (const py::object& t : read_) on.check("importance", t.attr("device"));
    alpha_ = make(on.stream(), *memory_);
  }

  const Importance<S>& get() const { return *alpha_; }

  /// Refuses an operation on another device or over another number of samples.
  void check(const CurrentStream& on, index_t samples) const {
    if (memory_ != nullptr) on.check("alpha", memory_->device());
    if (alpha_->size() != samples)
      refuse("alpha", std::to_string(samples) + " samples", std::to_string(alpha_->size()));
  }

  void sums(const py::object& out, bool rows) const {
    const Tensor t("out", out);
    double* const to = entries<double>("out", t, {alpha_->size()});
    CurrentStream on(t);
    check(on, alpha_->size());
    alpha_->sums(on.stream(), rows ? to : nullptr, rows ? nullptr : to);
  }
  void matmul(const py::object& y, const py::object& out) const {
    const Tensor from("y", y), to("out", out);
    const View<const S> a = view<S>("y", from, alpha_->size());
    const View<S> b = mutable_view<S>("out", to, a.rows, a.cols);
    CurrentStream on(from);
    on.check("out", to.device);
    check(on, a.rows);
    if (a.cols > 0) alpha_->matmul(on.stream(), a, b);
  }
  void to_dense(const py::object& out) const {
    const Tensor t("out", out);
    const View<S> to = mutable_view<S>("out", t, alpha_->size(), alpha_->size());
    CurrentStream on(t);
    check(on, alpha_->size());
    alpha_->to_dense(on.stream(), to);
  }

 private:
  std::vector<py::object> read_;
  std::unique_ptr<TorchMemory> memory_;
  std::unique_ptr<Importance<S>> alpha_;
};

}  // namespace alphacl::cuda::bindings

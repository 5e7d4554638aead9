// The results of power_iteration in the tests.
#pragma once

#include "alphacl/power_iteration.h"
#include "tests/testing.h"

namespace testing {

template <class S>
struct Eigenpairs {
  Array<S> eigenvalue, eigenvector, gap, residual;
  Array<std::int64_t> n_iter;
  Array<bool> converged;

  Eigenpairs(alphacl::index_t count, alphacl::index_t d)
      : eigenvalue(count), eigenvector(count * d), gap(count), residual(count), n_iter(count), converged(count) {}
  alphacl::TopEigenpairs<S> to() const {
    return {eigenvalue.data(), eigenvector.data(), gap.data(), residual.data(), n_iter.data(), converged.data()};
  }
};

}  // namespace testing

#include "isa/tables/kernels.h"

#include <cstdlib>

namespace alphacl {

#define ALPHACL_ISA_ENTRY(id, name) \
  namespace isa_##id {              \
    const KernelSet& set();         \
  }
#include "alphacl_isa_list.inc"
#undef ALPHACL_ISA_ENTRY

namespace {

bool processor_has(const std::string& isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("popcnt");
  const bool v3 =
      v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return isa == "x86-64-v2" ? v2 : isa == "x86-64-v3" ? v3 : isa == "x86-64-v4" && v4;
#else
  return isa == "baseline";
#endif
}

struct Entry {
  const char* name;
  const KernelSet& (*set)();
};

const std::vector<Entry>& runnable() {
  static const std::vector<Entry> entries = [] {
    std::vector<Entry> found;
#define ALPHACL_ISA_ENTRY(id, name) \
  if (processor_has(name)) found.push_back({name, &isa_##id::set});
#include "alphacl_isa_list.inc"
#undef ALPHACL_ISA_ENTRY
    return found;
  }();
  return entries;
}

const Entry& choose() {
  std::string known;
  for (const Entry& entry : runnable()) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  if (runnable().empty())
    throw std::runtime_error("alphacl_fast: this processor has none of the instruction sets of this build");
  const char* forced = std::getenv("ALPHACL_FAST_ISA");
  if (forced == nullptr || *forced == '\0') return runnable().back();
  for (const Entry& entry : runnable())
    if (entry.name == std::string(forced)) return entry;
  throw std::runtime_error("ALPHACL_FAST_ISA: expected one of " + known +
                           " (what this build and this processor have), got " + forced);
}

// Asked for once: what the environment says later changes nothing.
const Entry& chosen() {
  static const Entry& entry = choose();
  return entry;
}

}  // namespace

const KernelSet& kernel_set() { return chosen().set(); }

std::string isa_in_use() { return chosen().name; }

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : runnable()) names.emplace_back(entry.name);
  return names;
}

template <>
const Kernels<float>& kernels<float>() {
  return kernel_set().f;
}
template <>
const Kernels<double>& kernels<double>() {
  return kernel_set().d;
}
template <>
const ReadKernels<float, float>& read_kernels<float, float>() {
  return kernel_set().ff;
}
template <>
const ReadKernels<double, float>& read_kernels<double, float>() {
  return kernel_set().df;
}
template <>
const ReadKernels<double, double>& read_kernels<double, double>() {
  return kernel_set().dd;
}
template <>
const DistanceKernels<float>& distance_kernels<float>() {
  return kernel_set().distance_f;
}
template <>
const DistanceKernels<double>& distance_kernels<double>() {
  return kernel_set().distance_d;
}
template <>
const PackKernels<float>& pack_kernels<float>() {
  return kernel_set().pack_f;
}
template <>
const PackKernels<double>& pack_kernels<double>() {
  return kernel_set().pack_d;
}
template <>
const ProductKernels<float, float>& product_kernels<float, float>() {
  return kernel_set().product_ff;
}
template <>
const ProductKernels<double, float>& product_kernels<double, float>() {
  return kernel_set().product_df;
}
template <>
const ProductKernels<double, double>& product_kernels<double, double>() {
  return kernel_set().product_dd;
}
template <>
const BasisKernels<float>& basis_kernels<float>() {
  return kernel_set().basis_f;
}
template <>
const BasisKernels<double>& basis_kernels<double>() {
  return kernel_set().basis_d;
}
template <>
const PairKernels<float>& pair_kernels<float>() {
  return kernel_set().pair_f;
}
template <>
const PairKernels<double>& pair_kernels<double>() {
  return kernel_set().pair_d;
}
template <>
const NodeKernels<float>& node_kernels<float>() {
  return kernel_set().node_f;
}
template <>
const NodeKernels<double>& node_kernels<double>() {
  return kernel_set().node_d;
}

}  // namespace alphacl

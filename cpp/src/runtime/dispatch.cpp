// Chooses, when the module is loaded, the kernels for the instruction sets of the processor.
#include "isa/tables/kernels.h"

#include <cstdlib>

#include "runtime/count_kernels.h"

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

// Chosen once: later changes of the environment have no effect.
const Entry& chosen() {
  static const Entry& entry = choose();
  return entry;
}

}  // namespace

const KernelSet& kernel_set() {
  static const KernelSet& in_use = []() -> const KernelSet& {
    const char* count = std::getenv("ALPHACL_FAST_COUNT_KERNELS");
    const bool asked = count != nullptr && *count != '\0';
    return asked ? counting(chosen().set()) : chosen().set();
  }();
  return in_use;
}

std::string isa_in_use() { return chosen().name; }

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Entry& entry : runnable()) names.emplace_back(entry.name);
  return names;
}

}  // namespace alphacl

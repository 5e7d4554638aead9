// Kernels that count their calls, for the test that every kernel is run.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "isa/tables/kernel_set.h"

namespace alphacl {

/// A copy of the set `plain` whose kernels count their calls. It can be made once in a process.
const KernelSet& counting(const KernelSet& plain);

/// The number of calls of every kernel by its name, such as "NodeKernels<float>::gate_row"; empty where none counts.
std::map<std::string, std::uint64_t> kernel_calls();

}  // namespace alphacl

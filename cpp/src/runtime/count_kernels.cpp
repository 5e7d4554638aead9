// Counting kernels: wrappers take the place of the kernels in every table.
#include "runtime/count_kernels.h"

#include <atomic>
#include <sstream>
#include <utility>

namespace alphacl {
namespace {

std::map<std::string, const std::atomic<std::uint64_t>*>& counters() {
  static std::map<std::string, const std::atomic<std::uint64_t>*> by_name;
  return by_name;
}

// The wrapper in place of member I of a table.
template <class Table, std::size_t I, class R, class... A>
struct Counted {
  static inline R (*plain)(A...) = nullptr;
  static inline std::atomic<std::uint64_t> calls{0};

  static R call(A... arguments) {
    calls.fetch_add(1, std::memory_order_relaxed);
    return plain(arguments...);
  }
};

template <class Table, std::size_t I, class R, class... A>
void replace(const std::string& name, R (*&member)(A...)) {
  using Kernel = Counted<Table, I, R, A...>;
  Kernel::plain = member;
  member = &Kernel::call;
  counters()[name] = &Kernel::calls;
}
template <class Table, std::size_t I>
void replace(const std::string&, index_t&) {}  // a number, nothing to call

// names: the names of the members, separated by commas.
template <class Table, std::size_t... I, class... Members>
void replace_all(std::index_sequence<I...>, const std::string& table, const char* names, Members&... members) {
  std::istringstream stream(names);
  const auto next = [&] {
    std::string name;
    std::getline(stream >> std::ws, name, ',');
    return table + "::" + name;
  };
  (replace<Table, I>(next(), members), ...);
}

template <class Table, class... Members>
void replace_all(const Table&, const std::string& name, const char* names, Members&... members) {
  replace_all<Table>(std::index_sequence_for<Members...>(), name, names, members...);
}

// Names all members of a table, in their order: a wrong number of names does not compile.
#define ALPHACL_COUNT(name, ...) \
  auto& [__VA_ARGS__] = table;   \
  replace_all(table, name + types, #__VA_ARGS__, __VA_ARGS__)

template <class T>
void count(Kernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("Kernels", add_block, panel, pack_row, pack_rows, pack_columns, gram, cross_gram, probe, multiply_tile,
                multiply_transposed, add_offsets, add_block_rows, scale_row, dot, dot_wide, outer, multiply_both_ways,
                sum_rows);
}
template <class T, class S>
void count(ReadKernels<T, S>& table, const std::string& types) {
  ALPHACL_COUNT("ReadKernels", center_row, delta_row, dense_tile, pack_views, combine);
}
template <class S>
void count(DistanceKernels<S>& table, const std::string& types) {
  ALPHACL_COUNT("DistanceKernels", radial_stats);
}
void count(DifferenceKernels& table, const std::string& types) {
  ALPHACL_COUNT("DifferenceKernels", negative_half_distance, half_square);
}
template <class T, class S>
void count(RadialKernels<T, S>& table, const std::string& types) {
  ALPHACL_COUNT("RadialKernels", tile);
}
template <class S>
void count(PackKernels<S>& table, const std::string& types) {
  ALPHACL_COUNT("PackKernels", pack_symmetric, peak_of);
}
template <class T, class S>
void count(ProductKernels<T, S>& table, const std::string& types) {
  ALPHACL_COUNT("ProductKernels", square_product, packed_product);
}
template <class T>
void count(BasisKernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("BasisKernels", project, subtract);
}
void count(TridiagonalKernels& table, const std::string& types) {
  ALPHACL_COUNT("TridiagonalKernels", top, top_vector);
}
template <class T>
void count(NodeKernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("NodeKernels", gate_row, gate_difference_row, gate_laplacian, quadratic_form, gather_open,
                scatter_open);
}
template <class T>
void count(SeriesKernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("SeriesKernels", moments, values, laplacian, features, feature_columns);
}
template <class T>
void count(PairKernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("PairKernels", log_sums, sums, weights);
}
template <class T>
void count(ExpKernels<T>& table, const std::string& types) {
  ALPHACL_COUNT("ExpKernels", values);
}

#undef ALPHACL_COUNT

std::string name_of(float) { return "float"; }
std::string name_of(double) { return "double"; }

// <double, float>, as in the name of a table.
template <template <class...> class Table, class... Types>
std::string types_of(const Table<Types...>&) {
  std::string types;
  ((types += (types.empty() ? "<" : ", ") + name_of(Types())), ...);
  return types + ">";
}
std::string types_of(const TridiagonalKernels&) { return ""; }
std::string types_of(const DifferenceKernels&) { return ""; }

template <class Table>
void count_table(Table& table) {
  count(table, types_of(table));
}
template <class... Tables>
void count_tables(TableSet<Tables...>& set) {
  (count_table(static_cast<Tables&>(set)), ...);
}

}  // namespace

const KernelSet& counting(const KernelSet& plain) {
  static const KernelSet set = [&] {
    KernelSet made = plain;
    count_tables(made);
    return made;
  }();
  return set;
}

std::map<std::string, std::uint64_t> kernel_calls() {
  std::map<std::string, std::uint64_t> calls;
  for (const auto& [name, counter] : counters()) calls[name] = counter->load(std::memory_order_relaxed);
  return calls;
}

}  // namespace alphacl

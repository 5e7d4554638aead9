// All tables of kernels of one instruction set. Everything here is plain data: no template or inline function may be
// shared between instruction sets, or the linker could keep the copy of the newest one and run it on an older machine.
#pragma once

#include "isa/tables/eigen.h"
#include "isa/tables/nodes.h"
#include "isa/tables/pairs.h"
#include "isa/tables/panels.h"
#include "isa/tables/rows.h"
#include "isa/tables/series.h"
#include "isa/tables/tiles.h"
#include "isa/tables/views.h"

namespace alphacl {

/// A set of tables derives from each of them, so a reference to it converts to a reference to any table.
template <class... Tables>
struct TableSet : Tables... {};

/// The list of all tables.
using KernelSet =
    TableSet<Kernels<float>, Kernels<double>, ReadKernels<float, float>, ReadKernels<double, float>,
             ReadKernels<double, double>, DistanceKernels<float>, DistanceKernels<double>, DifferenceKernels,
             RadialKernels<float, float>, RadialKernels<float, double>, RadialKernels<double, double>,
             PackKernels<float>, PackKernels<double>, ProductKernels<float, float>, ProductKernels<double, float>,
             ProductKernels<double, double>, BasisKernels<float>, BasisKernels<double>, TridiagonalKernels,
             NodeKernels<float>, NodeKernels<double>, SeriesKernels<float>, SeriesKernels<double>, PairKernels<float>,
             PairKernels<double>, ExpKernels<float>, ExpKernels<double>>;

}  // namespace alphacl

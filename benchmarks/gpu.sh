#!/usr/bin/env bash
# All that needs a GPU, in one command of less than nine minutes and without network: `benchmarks/gpu.sh`.
#
# Needs nvcc 13, and a Python ($PYTHON, else python3) with torch for CUDA, numpy, pytest, CMake, ninja, pybind11 and
# scikit-build-core. The package goes to a folder of its own, which PYTHONPATH names: nothing is installed in that Python.
# Everything that a step prints is in $OUT (benchmarks/results/gpu), and its end here where it fails; the next step runs
# all the same. $LIMIT: seconds for everything (530). The exit status is 1 where a step failed. $STEPS: the only steps
# to run, by name, as "build train". $CIFAR: CIFAR-10 as a folder or a tar archive of train/CLASS/*.jpg and
# test/CLASS/*.jpg, on which a last step, train, trains two losses in the time that is left (three minutes at least).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OUT=${OUT:-benchmarks/results/gpu}
mkdir -p "$OUT"
OUT=$(cd "$OUT" && pwd)
PYTHON=${PYTHON:-python3}
CUDACXX=${CUDACXX:-$(command -v nvcc || command -v /usr/local/cuda/bin/nvcc || true)}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export OUT PYTHON CUDACXX WORK PYTHONPATH=$WORK/site PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export OMP_WAIT_POLICY=passive
unset ALPHACL_FAST_BACKEND ALPHACL_FAST_ISA ALPHACL_BLAS PYTEST_ADDOPTS
if [[ -z $CUDACXX ]]; then
  echo 'benchmarks/gpu.sh: no nvcc in CUDACXX, on the PATH or in /usr/local/cuda/bin' >&2
  exit 2
fi

limit=${LIMIT:-530}
summary=()
status=0

# The function $1, for $2 seconds at most and no longer than everything may take: it gets what remains as its argument.
# Its last $3 lines are shown.
step() {
  local name=$1 seconds=$2 lines=${3:-8} begin=$SECONDS code=0
  if [[ -n ${STEPS:-} && " $STEPS " != *" $name "* ]]; then return 0; fi
  if ((seconds > limit - SECONDS)); then seconds=$((limit - SECONDS)); fi
  printf '\n=== %s (after %d s)\n' "$name" "$SECONDS"
  if ((seconds < 5)); then
    summary+=("$name: left out, no time is left")
    status=1
    return 0
  fi
  timeout --kill-after=5 "$seconds" bash -euo pipefail -c "$name $seconds" >"$OUT/$name.log" 2>&1 || code=$?
  if ((code)); then
    status=1
    if ((lines < 40)); then lines=40; fi
  fi
  tail -n "$lines" "$OUT/$name.log"
  case $code in
    0) summary+=("$name: good, $((SECONDS - begin)) s") ;;
    124 | 137) summary+=("$name: stopped after $seconds s") ;;
    *) summary+=("$name: FAILED ($code), $((SECONDS - begin)) s") ;;
  esac
}

machine() {
  nvidia-smi
  nvidia-smi --query-gpu=name,compute_cap,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit --format=csv
  "$CUDACXX" --version | tail -n 2
  "${CXX:-g++}" --version | head -n 1
  "$PYTHON" -c 'import numpy, sys, torch; print(sys.version); print("numpy", numpy.__version__, "torch", torch.__version__)
print("CUDA of torch", torch.version.cuda, "GPUs", torch.cuda.device_count())'
}

# Where neither the vendored BLAS nor another one is installed: three loops in its place. Only the CPU's module calls it.
plain_blas() {
  mkdir -p "$WORK/blas/include" "$WORK/blas/lib"
  cat >"$WORK/blas/include/cblas.h" <<'END'
#pragma once
enum CBLAS_LAYOUT { CblasRowMajor = 101 };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112 };
enum CBLAS_UPLO { CblasUpper = 121 };
extern "C" {
void cblas_sgemm(CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, int, int, int, float, const float*, int, const float*,
                 int, float, float*, int);
void cblas_dgemm(CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, int, int, int, double, const double*, int,
                 const double*, int, double, double*, int);
void cblas_dsyrk(CBLAS_LAYOUT, CBLAS_UPLO, CBLAS_TRANSPOSE, int, int, double, const double*, int, double, double*, int);
}
END
  cat >"$WORK/blas/blas.cpp" <<'END'
#include <cblas.h>
template <class T>
void gemm(bool ta, bool tb, int m, int n, int k, T scale, const T* a, int lda, const T* b, int ldb, T keep, T* c,
          int ldc, bool upper = false) {
  for (long i = 0; i < m; ++i) {
    T* const to = c + i * ldc;
    const long first = upper ? i : 0;
    for (long j = first; j < n; ++j) to[j] = keep == 0 ? 0 : keep * to[j];
    for (long l = 0; l < k; ++l) {
      const T left = scale * (ta ? a[l * lda + i] : a[i * lda + l]);
      for (long j = first; j < n; ++j) to[j] += left * (tb ? b[j * ldb + l] : b[l * ldb + j]);
    }
  }
}
extern "C" {
void sgemm_() {}  // by which CMake knows a BLAS
void cblas_sgemm(CBLAS_LAYOUT, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float scale, const float* a,
                 int lda, const float* b, int ldb, float keep, float* c, int ldc) {
  gemm(ta == CblasTrans, tb == CblasTrans, m, n, k, scale, a, lda, b, ldb, keep, c, ldc);
}
void cblas_dgemm(CBLAS_LAYOUT, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double scale,
                 const double* a, int lda, const double* b, int ldb, double keep, double* c, int ldc) {
  gemm(ta == CblasTrans, tb == CblasTrans, m, n, k, scale, a, lda, b, ldb, keep, c, ldc);
}
void cblas_dsyrk(CBLAS_LAYOUT, CBLAS_UPLO, CBLAS_TRANSPOSE t, int n, int k, double scale, const double* a, int lda,
                 double keep, double* c, int ldc) {
  gemm(t == CblasTrans, t != CblasTrans, n, n, k, scale, a, lda, a, lda, keep, c, ldc, true);
}
}
END
  "${CXX:-g++}" -O3 -fPIC -I "$WORK/blas/include" -c "$WORK/blas/blas.cpp" -o "$WORK/blas/blas.o"
  ar rcs "$WORK/blas/lib/libblas.a" "$WORK/blas/blas.o"
}

# The package by pip and, beside it, the programs of cuda/tests: both for this GPU alone.
build() {
  "$PYTHON" tools/golden --only programs --nvcc "$CUDACXX" --compile-only --build "$WORK/programs" &
  local programs=$! options=() code=0
  if "$PYTHON" -c 'import scipy_openblas32' 2>/dev/null && command -v patchelf; then
    echo 'BLAS: vendored'
  else
    export ALPHACL_BLAS=system
    if ! "${CXX:-g++}" -include cblas.h -fsyntax-only -x c++ /dev/null 2>/dev/null; then
      echo 'BLAS: three loops, there is none on this machine'
      plain_blas
      export CMAKE_PREFIX_PATH=$WORK/blas
      options=(--config-settings=cmake.define.BLA_VENDOR=Generic)
    fi
  fi
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader --id=0)
  CUDAARCHS=${capability//./}-real ALPHACL_CUDA=1 "$PYTHON" -m pip install --no-index --no-build-isolation --no-deps \
    --no-cache-dir --target "$WORK/site" --config-settings=build-dir="$WORK/build" "${options[@]}" . || code=$?
  wait "$programs" || code=$?
  if ((code)); then return "$code"; fi
  (cd "$WORK" && "$PYTHON" -m alphacl_fast info)
}

programs() {
  "$PYTHON" tools/golden --only programs --run-only --build "$WORK/programs" --timeout 40 --out "$OUT/programs.txt"
}

operations() { "$PYTHON" tools/golden --only operations --out "$OUT/operations.txt"; }

# A few calls of every kernel, for the sanitizer that wants memory of cudaMalloc and no allocator in between.
small_calls() {
  cat <<'END'
import torch
import alphacl_fast as acl

x = torch.randn(67, 9, device="cuda")
y, w = x + 0.1 * torch.randn_like(x), torch.randn(3, 9, device="cuda")
for alpha in (None, acl.Gaussian(x, 1.0), acl.Direct(x), acl.LowRank(x), acl.SquareRegularized(x, 1.0), x @ x.T):
    views = [v.clone().requires_grad_() for v in (x, y)]
    acl.contrastive_cov(*views, alpha).trace().backward()
    acl.energy(x, y, alpha)
acl.gated_outer(x, torch.randn(67, 3, device="cuda"))
for alpha in (None, acl.NodeGaussian(0.5), acl.Gaussian(x, 1.0)):
    acl.gated_cov(x, y, w, alpha=alpha)
for loss in (acl.losses.InfoNCE(), acl.losses.Triplet(margin=0.3), acl.losses.nt_xent, acl.losses.info_nce):
    loss(*[v.clone().requires_grad_() for v in (x, y)]).backward()
for size in (9, 70):
    a = torch.randn(2, size, size, device="cuda")
    acl.power_iteration(a @ a.mT, gap=True)
torch.cuda.synchronize()
END
}

sanitizers() {
  local tool program failed=0 found
  if ! command -v compute-sanitizer; then
    echo 'no compute-sanitizer on the PATH: nothing is checked'
    return 0
  fi
  small_calls >"$WORK/small_calls.py"
  export PYTORCH_NO_CUDA_MEMORY_CACHING=1
  # The tool $1 on a command, 20 seconds at most: a stop is no finding.
  check() {
    local code=0
    timeout --kill-after=5 20 compute-sanitizer --tool "$1" --error-exitcode 99 --print-limit 20 "${@:2}" || code=$?
    printf '%s of %s: ' "$1" "$(basename "${*: -1}")"
    case $code in
      0) echo 'nothing found' ;;
      99)
        echo 'FOUND something, see above'
        failed=1
        ;;
      124 | 137) echo 'not finished' ;;
      *) echo "ended with $code" ;;
    esac
  }
  for tool in memcheck initcheck; do check "$tool" "$PYTHON" "$WORK/small_calls.py"; done
  for tool in racecheck synccheck memcheck; do
    for program in test_simt test_power_iteration test_pairs; do check "$tool" "$WORK/programs/$program"; done
  done
  echo
  found=$(grep -E '^[a-z]+check of .*: ' "$OUT/sanitizers.log" || true)
  echo "$found"
  return "$failed"
}

tests() {
  "$PYTHON" -m pytest -p no:cacheprovider -q -W default tests/test_cuda.py tests/test_cuda_graphs.py \
    tests/test_cuda_power_iteration.py
}

timings() { "$PYTHON" benchmarks/gpu.py --out "$OUT/gpu.jsonl"; }

# Two trainings in $1 seconds, at most 3 minutes each; 90 seconds are for reading, starting and probing.
train() {
  local minutes
  if (($1 < 180)); then
    echo "no time to train: $1 seconds are left"
    return 1
  fi
  minutes=$("$PYTHON" -c "print(min(3, ($1 - 90) / 120))")
  "$PYTHON" examples/train_ssl.py --device cuda --data "$CIFAR" --losses InfoNCE Quadratic --seeds 1 --batch 512 \
    --steps 1000000 --minutes "$minutes"
}

export -f machine plain_blas build programs operations small_calls sanitizers tests timings train
rm -f "$OUT/gpu.jsonl"
step machine 30 20
step build 200
if [[ -d $WORK/site/alphacl_fast ]]; then
  step operations 45
  step timings 150 60
  step tests 100
else
  echo 'The package was not built: nothing of it is run.'
fi
step programs 60
step sanitizers 130 24
if [[ -n ${CIFAR:-} && -d $WORK/site/alphacl_fast ]]; then step train 450; fi

printf '\n=== Summary (after %d s), in %s\n' "$SECONDS" "$OUT"
printf '%s\n' "${summary[@]}" | tee "$OUT/summary.txt"
exit "$status"

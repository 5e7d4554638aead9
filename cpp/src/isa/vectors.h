// Vectors as wide as the registers. Included inside the anonymous namespace of kernels.cpp.
//
// Native width only: GCC compiles wider vectors badly (80 times slower with AVX2).

#if defined(__AVX512F__)
constexpr index_t vector_bytes = 64;
#elif defined(__AVX__)
constexpr index_t vector_bytes = 32;
#else
constexpr index_t vector_bytes = 16;
#endif

// A register of T, and as many S, to load from and store to.
template <class T, class S>
struct Wide {
  static constexpr index_t lanes = vector_bytes / static_cast<index_t>(sizeof(T));
  typedef T type __attribute__((vector_size(vector_bytes)));
  typedef S source __attribute__((vector_size(lanes * sizeof(S))));
  static inline void load(const S* p, type* v) {
    source s;
    __builtin_memcpy(&s, p, sizeof(s));
    *v = __builtin_convertvector(s, type);
  }
  static inline void store(const type& v, T* p) { __builtin_memcpy(p, &v, sizeof(v)); }
  static inline void narrow(const type& v, S* p) {
    const source s = __builtin_convertvector(v, source);
    __builtin_memcpy(p, &s, sizeof(s));
  }
};

// Rows over which columns of a tile are summed in its type before they go to double: 64 equal numbers may lose 1e-6.
constexpr index_t flush_rows = 16;

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wconversion
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith
  -ffp-contract=off # results equal on every level: no hidden fma
  -Wno-pass-failed # clang: of a loop marked MD_SIMD that is none at -O1
  -fno-trapping-math # nothing traps or reads the flags of exceptions
  -fopenmp-simd) # loops marked MD_SIMD become vectors; no OpenMP otherwise
add_compile_definitions(_DEFAULT_SOURCE)

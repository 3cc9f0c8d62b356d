add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wconversion
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith
  -ffp-contract=off # results equal on every level: no hidden fma
  -fno-trapping-math # nothing traps or reads the flags of exceptions
  -fopenmp-simd) # loops marked MD_SIMD become vectors; no OpenMP otherwise
add_compile_definitions(_DEFAULT_SOURCE)

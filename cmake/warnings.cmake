add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wvla -Wconversion
  -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wpointer-arith
  -ffp-contract=off) # results equal on every level: no hidden fma
add_compile_definitions(_DEFAULT_SOURCE)

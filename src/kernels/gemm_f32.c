#include "kernels/gemm_f32.h"

#include <assert.h>

#include "base/cpu.h"
#include "base/size.h"

const md_gemm_f32_kernel md_gemm_f32_kernels[] = {
#define K(isa, need, mr, nr)                                                   \
    { "gemm_f32__" #isa,     need, mr, nr, md_gemm_f32_pack_b__##isa,          \
      md_gemm_f32_run__##isa },
#include "kernels/gemm_f32.def"
#undef K
    { 0 },
};

const md_gemm_f32_kernel *md_gemm_f32_select(uint32_t cpu_flags)
{
    const md_gemm_f32_kernel *k = md_gemm_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

bool md_gemm_f32_packed_size(size_t *out, int64_t k, int64_t n)
{
    size_t width;

    return k >= 0 && n >= 0 && md_add_size(&width, (size_t)n, 15) &&
           md_mul_size(out, width & ~(size_t)15, (size_t)k) &&
           md_mul_size(out, *out, sizeof(float));
}

/* Below this many multiply-adds waking a thread costs more than it saves:
 * about 5 us of one core. */
static const int64_t share_min = 1 << 18;

/* Rows of A that one chunk keeps in L2 while panels pass by. */
static const int64_t rows_max = 192;

/* n cut into `parts`, rounded up to whole units. */
static int64_t step_of(int64_t n, int64_t parts, int64_t unit)
{
    return md_max_i64(1, md_div_up(md_div_up(n, parts), unit)) * unit;
}

void md_gemm_f32_split(md_gemm_f32_grid *out, const md_gemm_f32_kernel *kernel,
                       int64_t m, int64_t n, int64_t k, int threads)
{
    const int64_t m_units = md_div_up(m, kernel->mr);
    const int64_t n_units = md_div_up(n, kernel->nr);
    int64_t m_parts = md_max_i64(1, md_div_up(m, rows_max)), n_parts = 1;

    if (threads > 1 && k > 0 && m > 0 && n >= md_div_up(share_min / m, k)) {
        /* Packed B is usually larger than A: cut its panels, so that each
         * core reads its own share of it; rows where panels are few. */
        const int64_t want = md_div_up(threads, m_parts);

        n_parts = md_min_i64(n_units, want);
        m_parts *= md_min_i64(md_max_i64(1, m_units / m_parts),
                              md_div_up(want, n_parts));
    }
    out->m_step = step_of(m, m_parts, kernel->mr);
    out->n_step = step_of(n, n_parts, kernel->nr);
    out->m_chunks = md_max_i64(1, md_div_up(m, out->m_step));
    out->n_chunks = md_max_i64(1, md_div_up(n, out->n_step));
}

void md_gemm_f32_chunk_run(const md_gemm_f32_kernel *kernel,
                           const md_gemm_f32_args *x,
                           const md_gemm_f32_grid *grid, int64_t i)
{
    const int64_t m0 = i % grid->m_chunks * grid->m_step;
    const int64_t n0 = i / grid->m_chunks * grid->n_step;

    assert(i >= 0 && i < grid->m_chunks * grid->n_chunks);
    kernel->run(x, m0, md_min_i64(m0 + grid->m_step, x->m), n0,
                md_min_i64(n0 + grid->n_step, x->n));
}

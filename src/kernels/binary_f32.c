#include "kernels/binary_f32.h"

#include <stddef.h>

const md_binary_f32_kernel md_binary_f32_kernels[] = {
#define K(isa, need) { "binary_f32__" #isa, need, md_binary_f32__##isa },
#include "kernels/binary_f32.def"
#undef K
    { NULL, 0, NULL },
};

const md_binary_f32_kernel *md_binary_f32_select(uint32_t cpu_flags)
{
    const md_binary_f32_kernel *k = md_binary_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static void run_row(void *ctx, const md_broadcast_row *r)
{
    const md_binary_f32_args *x = ctx;

    x->kernel->run(x->y + r->y, x->a + r->a, x->b + r->b, r->n, r->a_step,
                   r->b_step, &x->op);
}

void md_binary_f32_run(const md_binary_f32_args *args, int64_t chunk)
{
    md_binary_f32_args copy = *args;

    md_broadcast_walk(&args->shape, chunk, run_row, &copy);
}

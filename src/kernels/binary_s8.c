#include "kernels/binary_s8.h"

#include <stddef.h>

const md_binary_s8_kernel md_binary_s8_kernels[] = {
#define K(isa, need) { "binary_s8__" #isa, need, md_binary_s8__##isa },
#include "kernels/binary_s8.def"
#undef K
    { NULL, 0, NULL },
};

const md_binary_s8_kernel *md_binary_s8_select(uint32_t cpu_flags)
{
    const md_binary_s8_kernel *k = md_binary_s8_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

static void run_row(void *ctx, const md_broadcast_row *r)
{
    const md_binary_s8_args *x = ctx;

    x->kernel->run(x->y + r->y, x->a + r->a, x->b + r->b, r->n, r->a_step,
                   r->b_step, &x->op);
}

void md_binary_s8_run(const md_binary_s8_args *args, int64_t chunk)
{
    md_binary_s8_args copy = *args;

    md_broadcast_walk(&args->shape, chunk, run_row, &copy);
}

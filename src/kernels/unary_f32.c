#include "kernels/unary_f32.h"

#include <assert.h>

const md_unary_f32_kernel md_unary_f32_kernels[] = {
#define K(isa, need)                                                           \
    { "unary_f32__" #isa, need, md_unary_f32__##isa, md_act_f32__##isa },
#include "kernels/unary_f32.def"
#undef K
    { NULL, 0, NULL, NULL },
};

const md_unary_f32_kernel *md_unary_f32_select(uint32_t cpu_flags)
{
    const md_unary_f32_kernel *k = md_unary_f32_kernels;

    while (k->required & ~cpu_flags)
        k++;
    return k;
}

const char *md_unary_name(md_unary op)
{
    static const char *const names[] = {
#define U(id, name, value) name,
#include "kernels/unary.def"
#undef U
    };

    assert(op < MD_UNARY_COUNT);
    return names[op];
}

/* Families of which each output element is one step: here a FLOP is an
 * element. */
#include <stdio.h>

#include "kernels/bench.h"
#include "kernels/binary_f32.h"
#include "kernels/norm_f32.h"
#include "kernels/quantize.h"
#include "kernels/reorder.h"
#include "kernels/softmax_f32.h"
#include "kernels/unary_f32.h"
#include "kernels/vbinary.h"
#include "kernels/vcast.h"

enum {
    ROWS = 128,
    COLUMNS = 768,
    N = ROWS * COLUMNS / 4 /* x and y fit in L2 */
};

typedef struct job {
    float *x, *y;
    const md_unary_f32_kernel *unary;
    md_act act;
    const md_binary_f32_kernel *binary;
    const md_softmax_f32_kernel *softmax;
    const md_norm_f32_kernel *norm;
    const md_quantize_kernel *quantize;
    md_vbinary_fn *vbinary;
    md_vcast_fn *vcast;
} job;

static void run_act(void *ctx)
{
    const job *j = ctx;

    j->unary->act(j->y, j->x, N, j->act, 0, 6);
}

static void run_add(void *ctx)
{
    const md_binary_op add = { .op = MD_BINARY_ADD };
    const job *j = ctx;

    j->binary->run(j->y, j->x, j->y, N, 1, 1, &add);
}

static void run_softmax(void *ctx)
{
    const job *j = ctx;

    j->softmax->run(j->y, j->x, 12 * 128, 128, 1, false);
}

static void run_norm(void *ctx)
{
    const job *j = ctx;

    j->norm->run(&(md_norm_f32_args){
        .y = j->y, .x = j->x, .rows = ROWS, .n = COLUMNS, .eps = 1e-5f });
}

static void run_quantize(void *ctx)
{
    const md_qparam p = { 0.1f, 3, 0, 255 };
    const job *j = ctx;

    j->quantize->quantize((uint8_t *)j->y, j->x, N, &p);
}

static void run_dequantize(void *ctx)
{
    const md_qparam p = { 0.1f, 3, 0, 255 };
    const job *j = ctx;

    j->quantize->dequantize(j->y, j->x, N, MD_QTYPE_U8, &p);
}

static void run_vbinary(void *ctx)
{
    const job *j = ctx;

    j->vbinary(j->y, j->x, j->y, N / 2, 1); /* at most 8 bytes an element */
}

static void run_vcast(void *ctx)
{
    const job *j = ctx;

    j->vcast(j->y, j->x, N / 2);
}

static void run_pack(void *ctx)
{
    const job *j = ctx;

    md_nc16_pack(j->y, j->x, &(md_nc16_args){ 1, 32, N / 32, N, N / 32, 1, 4 });
}

static void run_unpack(void *ctx)
{
    const job *j = ctx;

    md_nc16_unpack(j->y, j->x,
                   &(md_nc16_args){ 1, 32, N / 32, N, N / 32, 1, 4 });
}

static void run_heads(void *ctx)
{
    static const int64_t dims[] = { 12, 128, 64 }, strides[] = { 64, 768, 1 };
    const job *j = ctx;

    md_transpose(j->y, j->x, 3, dims, strides, 4);
}

static void run_swap(void *ctx)
{
    static const int64_t dims[] = { COLUMNS, ROWS }, strides[] = { 1, COLUMNS };
    const job *j = ctx;

    md_transpose(j->y, j->x, 2, dims, strides, 4);
}

static void bench_unary(job *j)
{
    static const struct {
        md_act act;
        const char *name;
    } acts[] = { { MD_ACT_RELU, "relu" },
                 { MD_ACT_SILU, "silu" },
                 { MD_ACT_GELU_ERF, "gelu" } };

    for (j->unary = md_unary_f32_kernels; j->unary->run; j->unary++) {
        for (int i = 0; i < 3; i++) {
            j->act = acts[i].act;
            if (md_bench_wanted(j->unary->name, j->unary->required))
                md_bench_time(&(md_bench_case){ j->unary->name, acts[i].name, N,
                                                run_act, j });
        }
    }
}

static void bench_rows(job *j)
{
    for (j->binary = md_binary_f32_kernels; j->binary->run; j->binary++)
        if (md_bench_wanted(j->binary->name, j->binary->required))
            md_bench_time(
                &(md_bench_case){ j->binary->name, "add", N, run_add, j });
    for (j->softmax = md_softmax_f32_kernels; j->softmax->run; j->softmax++)
        if (md_bench_wanted(j->softmax->name, j->softmax->required))
            md_bench_time(&(md_bench_case){ j->softmax->name, "12x128x128",
                                            12 * 128 * 128, run_softmax, j });
    for (j->norm = md_norm_f32_kernels; j->norm->run; j->norm++)
        if (md_bench_wanted(j->norm->name, j->norm->required))
            md_bench_time(&(md_bench_case){ j->norm->name, "128x768",
                                            ROWS * COLUMNS, run_norm, j });
}

static void bench_quantize(job *j)
{
    for (j->quantize = md_quantize_kernels; j->quantize->quantize;
         j->quantize++) {
        if (!md_bench_wanted(j->quantize->name, j->quantize->required))
            continue;
        md_bench_time(&(md_bench_case){ j->quantize->name, "quantize", N,
                                        run_quantize, j });
        md_bench_time(&(md_bench_case){ j->quantize->name, "dequantize", N,
                                        run_dequantize, j });
    }
}

static void bench_typed(job *j)
{
    static const struct {
        md_vbinary op;
        md_dtype type;
        const char *name;
    } ops[] = { { MD_VBINARY_ADD, MD_DTYPE_I64, "add int64" },
                { MD_VBINARY_LT, MD_DTYPE_F32, "less float32" },
                { MD_VBINARY_DIV, MD_DTYPE_I32, "div int32" } };
    static const struct {
        md_dtype to, from;
        const char *name;
    } casts[] = { { MD_DTYPE_F16, MD_DTYPE_F32, "float32 to float16" },
                  { MD_DTYPE_F32, MD_DTYPE_F16, "float16 to float32" },
                  { MD_DTYPE_F32, MD_DTYPE_I64, "int64 to float32" },
                  { MD_DTYPE_U8, MD_DTYPE_F32, "float32 to uint8" } };

    for (const md_vbinary_kernel *k = md_vbinary_kernels; k->find; k++) {
        for (size_t i = 0; i < MD_COUNT(ops); i++) {
            j->vbinary = k->find(ops[i].op, ops[i].type);
            if (md_bench_wanted(k->name, k->required))
                md_bench_time(&(md_bench_case){ k->name, ops[i].name, N / 2,
                                                run_vbinary, j });
        }
    }
    for (const md_vcast_kernel *k = md_vcast_kernels; k->find; k++) {
        for (size_t i = 0; i < MD_COUNT(casts); i++) {
            j->vcast = k->find(casts[i].to, casts[i].from);
            if (md_bench_wanted(k->name, k->required))
                md_bench_time(&(md_bench_case){ k->name, casts[i].name, N / 2,
                                                run_vcast, j });
        }
    }
}

void md_bench_elementwise(md_arena *arena)
{
    const int64_t n = 12 * 128 * 128;
    job j = { .x = md_bench_floats(arena, n), .y = md_bench_floats(arena, n) };

    bench_unary(&j);
    bench_rows(&j);
    bench_quantize(&j);
    bench_typed(&j);
    if (!md_bench_wanted("reorder", 0))
        return;
    md_bench_time(&(md_bench_case){ "reorder", "to NC16", N, run_pack, &j });
    md_bench_time(
        &(md_bench_case){ "reorder", "from NC16", N, run_unpack, &j });
    md_bench_time(&(md_bench_case){ "reorder", "128x12x64 to heads",
                                    ROWS * COLUMNS, run_heads, &j });
    md_bench_time(&(md_bench_case){ "reorder", "128x768 transposed",
                                    ROWS * COLUMNS, run_swap, &j });
}

#include "f32_case.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/finish_f32.h"

enum {
    ROWS = 5,
    SUM_STRIDE = 32,
    OUT_STRIDE = 21
};

typedef struct tile {
    float *sum, *res, *out;
    size_t sum_n, out_n;
    md_finish_tile t;
} tile;

/* Buffers that end where the last row ends. */
static void tile_init(tile *c, int rows, int lanes, bool pad, uint32_t *seed)
{
    const size_t width = pad ? 16 : (size_t)lanes;

    c->sum_n = (size_t)(rows - 1) * SUM_STRIDE + 16;
    c->out_n = (size_t)(rows - 1) * OUT_STRIDE + width;
    c->sum = f32_random(c->sum_n, seed);
    c->res = f32_random(c->out_n, seed);
    c->out = f32_random(c->out_n, seed);
    c->t = (md_finish_tile){ .sum = c->sum,
                             .sum_stride = SUM_STRIDE,
                             .out = c->out,
                             .out_stride = OUT_STRIDE,
                             .rows = rows,
                             .lanes = lanes,
                             .pad = pad };
}

static void tile_release(tile *c)
{
    f32_free(c->sum, c->sum_n);
    f32_free(c->res, c->out_n);
    f32_free(c->out, c->out_n);
}

/* Every float of the output buffer: finished, zero, or as it was. */
static void check(const char *who, const tile *c, const md_epilogue *ep,
                  const float *before)
{
    for (size_t i = 0; i < c->out_n; i++) {
        const size_t row = i / OUT_STRIDE, lane = i % OUT_STRIDE;
        const float *sum = c->sum + row * SUM_STRIDE;

        if (lane >= 16 || (lane >= (size_t)c->t.lanes && !c->t.pad)) {
            if (memcmp(&c->out[i], &before[i], sizeof(float)) != 0)
                fail_msg("%s: %d lanes: wrote at %zu", who, c->t.lanes, i);
        } else if (lane >= (size_t)c->t.lanes) {
            if (c->out[i] != 0)
                fail_msg("%s: %d lanes: %g at %zu, expected 0", who, c->t.lanes,
                         (double)c->out[i], i);
        } else {
            const float res = c->t.residual ? c->res[i] : 0;

            f32_check_terms(who, c->out[i], ep, (double)sum[lane] + res,
                            fabs((double)sum[lane]) + fabs((double)res), 2);
        }
    }
}

static void one_case(const md_finish_f32_kernel *k, int i, uint32_t *seed)
{
    const md_epilogue ep = f32_epilogue(i);
    const bool in_place = i % 5 == 0;
    float *before;
    tile c;

    tile_init(&c, (int)f32_pick(seed, 1, ROWS), (int)f32_pick(seed, 1, 16),
              i % 2, seed);
    before = f32_random(c.out_n, seed);
    memcpy(c.out, in_place ? c.res : before, c.out_n * sizeof(float));
    memcpy(before, c.out, c.out_n * sizeof(float));
    if (i % 3 || in_place)
        c.t.residual = in_place ? c.out : c.res;
    k->run(&ep, &c.t);
    check(k->name, &c, &ep, before);
    f32_free(before, c.out_n);
    tile_release(&c);
}

static void test_finish_f32__definition(void **state)
{
    uint32_t seed = 5;

    (void)state;
    for (const md_finish_f32_kernel *k = md_finish_f32_kernels; k->run; k++) {
        for (int i = 0; f32_usable(k->name, k->required) && i < 2000; i++)
            one_case(k, i, &seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finish_f32__definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

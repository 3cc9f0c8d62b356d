/* The operators of training beside their definitions: odd sizes, strides,
 * groups, on a plain and on the best CPU. */
#include "support/test.h"

#include "base/cpu.h"
#include "support/net.h"

/* Sums of about n products of numbers around 1 differ by n^0.5 roundings of
 * 6e-8; 1e-4 is for some 10^5 of them, as the largest here have. */
static const char *const nets[] = {
    "x f32[N,3,7,5]; dy f32[N,4,7,5]; w f32[4,3,3,3]; y = "
    "modeld.ConvWeights(x, dy, w) pads=[1,1,1,1]; -> y",
    "x f32[N,16,9,8]; dy f32[N,33,5,4]; w f32[33,16,3,3]; y = "
    "modeld.ConvWeights(x, dy, w) pads=[1,1,1,1] strides=[2,2]; -> y",
    "x f32[N,5,11,12]; dy f32[N,2,3,4]; w f32[2,5,2,3]; y = "
    "modeld.ConvWeights(x, dy, w) strides=[3,4] pads=[0,1,0,2] "
    "dilations=[2,1]; -> y",
    "x f32[N,8,6,6]; dy f32[N,12,6,6]; w f32[12,2,3,3]; y = "
    "modeld.ConvWeights(x, dy, w) group=4 pads=[1,1,1,1]; -> y",
    "x f32[N,7,6,6]; dy f32[N,7,3,3]; w f32[7,1,3,3]; y = "
    "modeld.ConvWeights(x, dy, w) group=7 pads=[0,0,1,1] strides=[2,2]; -> y",
    "x f32[N,3,20]; dy f32[N,5,9]; w f32[5,3,4]; y = modeld.ConvWeights(x, dy, "
    "w) strides=[2]; -> y",
    "x f32[N,2,4,5,6]; dy f32[N,3,2,5,3]; w f32[3,2,2,3,2]; y = "
    "modeld.ConvWeights(x, dy, w) strides=[2,1,2] pads=[0,1,0,0,1,0]; -> y",
    "x f32[N,40,4,4]; dy f32[N,1,1,1]; w f32[1,40,4,4]; y = "
    "modeld.ConvWeights(x, dy, w); -> y",
    "x f32[N,3,9,7]; s f32[3]; dy f32[N,3,9,7]; a, b, c = "
    "modeld.BatchNormalizationGrad(x, s, dy) epsilon=0.01; -> a, b, c",
    "x f32[N,5]; s f32[5]; dy f32[N,5]; a, b, c = "
    "modeld.BatchNormalizationGrad(x, s, dy); -> a, b, c",
    "x f32[N,2,50,60]; s f32[2]; dy f32[N,2,50,60]; a, b, c = "
    "modeld.BatchNormalizationGrad(x, s, dy); -> a, b, c",
    "x f32[N,3,3,3]; s f32[3]; dy f32[N,3,3,3]; a = "
    "modeld.BatchNormalizationGrad(x, s, dy); -> a",
    "a f32[N,3,7,5]; b f32[N,3,7,5]; y = modeld.ReluGrad(a, b); -> y",
    "x f32[N,4,7,5]; s f32[4]; b f32[4]; m f32[4]; v f32[4]; y, mm, vv = "
    "BatchNormalization(x, s, b, m, v) training_mode=1 momentum=0.7; -> y, mm, "
    "vv",
    "x f32[N,4,50,50]; s f32[4]; b f32[4]; m f32[4]; v f32[4]; y = "
    "BatchNormalization(x, s, b, m, v) training_mode=1; -> y",
    "x f32[N,6]; s f32[6]; b f32[6]; m f32[6]; v f32[6]; y, mm, vv = "
    "BatchNormalization(x, s, b, m, v) training_mode=1; -> y, mm, vv",
};

static void test_training_ops__beside_definitions(void **state)
{
    static const int64_t batches[] = { 1, 2, 7, 21 };

    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        md_cpu_set_mask(plain ? 0 : MD_CPU_ALL);
        for (size_t i = 0; i < MD_COUNT(nets); i++) {
            for (size_t k = 0; k < MD_COUNT(batches); k++) {
                /* One sample of one number has no variance: its gradient is
                 * what rounding leaves, times 1 / sqrt(epsilon). */
                if (batches[k] > 1 || i < 8)
                    net_check(nets[i], NULL, batches[k], 1e-4, 0);
            }
        }
    }
    md_cpu_set_mask(MD_CPU_ALL);
}

/* Far from 0 a variance by E[x^2] - E[x]^2 in float would be lost. */
static void test_training_ops__a_large_mean(void **state)
{
    (void)state;
    net_check("a f32[N,3,8,8]; k = f32[]{1000}; x = Add(a, k); s f32[3]; b "
              "f32[3]; m f32[3]; v f32[3]; y = BatchNormalization(x, s, b, m, "
              "v) training_mode=1; -> y",
              NULL, 4, 1e-3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_ops__beside_definitions),
        cmocka_unit_test(test_training_ops__a_large_mean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

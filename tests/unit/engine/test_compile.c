/* What is computed while a model is loaded. */
#include "support/test.h"

#include "support/net.h"

#define WORDS "s = str[1,4,1,2]{one two three four five six seven eight}; "
#define LIST "s = str[3]{one two three}; "

/* The constants that these come from are read by nothing else, so they are
 * freed: text has to have come along. */
static const char *const strings[] = {
    WORDS "y = DepthToSpace(s) blocksize=2; -> y",
    WORDS "t = Transpose(s) perm=[0,3,2,1]; y = Reshape(t, i64[1]{-1}); -> y",
    WORDS "y = Slice(s, i64[1]{1}, i64[1]{3}, i64[1]{1}); -> y",
    WORDS "y, z = Split(s) axis=3; -> z, y",
    "s = str[1,1,2,2]{one two three four}; "
    "y = SpaceToDepth(s) blocksize=2; -> y",
    LIST "y = Gather(s, i64[2]{2 0}); -> y",
    LIST "y = Concat(s, s) axis=0; -> y",
    LIST "t = Unsqueeze(s, i64[1]{0}); y = Tile(t, i64[2]{2 2}); -> y",
    LIST "y = Where(bool[3]{0 1 0}, s, str[1]{other}); -> y",
    LIST "y = Expand(s, i64[2]{2 3}); -> y",
    /* text that the operator makes */
    "n = i32[3]{1 -20 300}; y = Cast(n) to=8; -> y",
    "n = i32[3]{1 -20 300}; t = Cast(n) to=8; y = Identity(t); -> y",
};

static void test_compile__folded_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(strings); i++)
        net_check(strings[i], NULL, 2, 0, 0);
}

/* What is drawn is drawn in each run, though all it depends on is constant. */
static const char *const drawn[] = {
    "y = RandomNormal() shape=[3] seed=2.0; -> y",
    "c = f32[3]{1 2 3}; y = RandomUniformLike(c) seed=2.0; -> y",
    "c = f32[3]{0 0.5 1}; y = Bernoulli(c) seed=2.0; z = Neg(y); -> z",
    "c = f32[3]{1 2 3}; y = Dropout(c, f32[]{0.5}, bool[]{1}) seed=2; -> y",
    "c = f32[3]{1 2 3}; y = Dropout(c, f32[]{0.5}, bool[]{0}); -> y",
};

static void test_compile__drawn(void **state)
{
    (void)state;
    for (size_t i = 0; i < MD_COUNT(drawn); i++)
        net_check(drawn[i], NULL, 2, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compile__folded_text),
        cmocka_unit_test(test_compile__drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

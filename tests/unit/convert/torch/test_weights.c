/* State dicts of every form against what NumPy says that their tensors are. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/torch/weights.h"
#include "formats/npz.h"

#define FOLDER MD_TEST_DIR "/golden/torch/"

static void compare(const md_torch_weight *w, const md_tensor *want)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t = MD_TENSOR_INIT;

    assert_md_ok(
        md_torch_view_tensor(&t, &w->view, true, md_alloc_default(), &err),
        &err);
    assert_true(md_shape_equal(&t.shape, &want->shape));
    for (int64_t i = 0; i < md_tensor_n(want); i++)
        assert_true(md_tensor_get_f64(&t, i) == md_tensor_get_f64(want, i));
    if (t.dtype != MD_DTYPE_BF16) /* NumPy has none: float32 there */
        assert_int_equal(t.dtype, want->dtype);
    md_tensor_release(&t);
}

static void check(const char *name)
{
    md_error err = MD_ERROR_INIT;
    char path[512];
    md_torch_weights w;
    md_npz *npz = NULL;
    md_arena arena;
    md_map map;

    md_arena_init(&arena, md_alloc_default(), 0);
    snprintf(path, sizeof(path), "%s%s", FOLDER, name);
    assert_md_ok(md_map_open(&map, path, &err), &err);
    snprintf(path, sizeof(path), "%s%s.npz", FOLDER, name);
    assert_md_ok(md_npz_open(&npz, path, 0, md_alloc_default(), &err), &err);
    assert_md_ok(md_torch_weights_read(&w, map.data, map.size, &arena, &err),
                 &err);
    assert_true(md_npz_count(npz) > 1);
    for (uint32_t i = 0; i < md_npz_count(npz); i++) {
        const md_torch_weight *x =
            md_torch_weights_find(&w, md_npz_name(npz, i));
        md_tensor want = MD_TENSOR_INIT;

        assert_non_null(x);
        assert_md_ok(md_npz_read(&want, npz, i, &err), &err);
        if (x)
            compare(x, &want);
        md_tensor_release(&want);
    }
    md_torch_weights_release(&w);
    md_npz_free(npz);
    md_map_release(&map);
    md_arena_release(&arena);
}

static void test_weights__zip(void **state)
{
    (void)state;
    check("odd.pth");
}

static void test_weights__legacy(void **state)
{
    (void)state;
    check("odd.legacy.pth");
}

static void test_weights__safetensors(void **state)
{
    (void)state;
    check("odd.safetensors");
}

static void test_weights__inside_other_things(void **state)
{
    (void)state;
    check("wrapped.pth");
}

static md_torch_view view(size_t size, int64_t rows, int64_t columns)
{
    static const unsigned char bytes[64];

    return (md_torch_view){ .storage = { bytes, size, true },
                            .dtype = MD_DTYPE_F32,
                            .shape = { 2, { rows, columns } },
                            .stride = { columns, 1 } };
}

static void test_weights__views_stay_inside(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_torch_view v = view(48, 3, 4);

    (void)state;
    assert_md_ok(md_torch_view_check(&v, "w", &err), &err);
    v.offset = 1;
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_CORRUPT, &err,
                    "'w': shape [3,4] at offset 1 leaves its storage of 12");
    v.offset = -1;
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_CORRUPT, &err,
                    "offset -1");
    v = view(48, 3, 4);
    v.stride[0] = INT64_MAX / 2;
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_CORRUPT, &err,
                    "leaves its storage");
    v.stride[0] = -4;
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_CORRUPT, &err,
                    "leaves its storage");
    v = view(4, (int64_t)1 << 32, (int64_t)1 << 32);
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_CORRUPT, &err,
                    "more elements");
    v = view(4, 1 << 20, 1 << 10);
    v.stride[0] = v.stride[1] = 0;
    assert_md_fails(md_torch_view_check(&v, "w", &err), MD_TOO_LARGE, &err,
                    "of a storage of 1 elements");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights__zip),
        cmocka_unit_test(test_weights__legacy),
        cmocka_unit_test(test_weights__safetensors),
        cmocka_unit_test(test_weights__inside_other_things),
        cmocka_unit_test(test_weights__views_stay_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

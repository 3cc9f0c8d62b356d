/* Tables, IDX files and folders of pictures as data sets. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/dataset.h"
#include "support/fail_alloc.h"
#include "support/net.h"
#include "support/temp.h"

enum {
    ROOM = 64
};

static md_model *net(const char *text)
{
    return net_parse(text);
}

/* Write `text` as `name` and open it. */
static md_status open_text(md_dataset *d, const md_model *m, const char *name,
                           const char *text, const char *label, md_error *err)
{
    const md_data_opts opts = { NULL, label };
    char path[MD_TEMP_SIZE * 2];
    md_temp dir;
    md_status s;

    md_temp_make(&dir);
    md_temp_write(&dir, name, text, strlen(text));
    s = md_dataset_open(d, md_temp_path(path, &dir, name), m, &opts, err);
    md_temp_remove(&dir);
    return s;
}

static void read_all(float out[ROOM], const md_dataset *d, uint32_t i)
{
    md_error err = MD_ERROR_INIT;
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = md_dataset_shape(d, i, d->n),
                    .data = out };

    assert_true(md_tensor_n(&t) <= ROOM);
    assert_md_ok(md_dataset_read(d, i, NULL, 0, d->n, &t, NULL, &err), &err);
}

/* ---- tables ---- */

static void test_csv__forms_of_one_table(void **state)
{
    static const struct {
        const char *name, *text, *label;
    } cases[] = {
        { "a.csv", "1,2,0\n3,4,1\n", NULL },
        { "a.csv", "a,b,label\r\n1,2,0\r\n3,4,1\r\n", NULL },
        { "a.csv", "\n\nLabel;a;b\n0;1; 2 \n1;+3;4e0\n", NULL },
        { "a.tsv", "a\ty\tb\n1\t0\t2\n3\t1\t4", NULL },
        { "a.CSV", "a,n,b\n\"1\",0,2\n3,\"1\",4\n", "N" },
    };
    static const float want[] = { 1, 2, 3, 4 };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net("x f32[B,2]; y = Relu(x); -> y");
        float got[ROOM];
        md_dataset d;

        assert_md_ok(open_text(&d, m, cases[i].name, cases[i].text,
                               cases[i].label, &err),
                     &err);
        assert_int_equal(d.n, 2);
        assert_int_equal(md_dataset_class(&d, 0), 0);
        assert_int_equal(md_dataset_class(&d, 1), 1);
        read_all(got, &d, 0);
        assert_memory_equal(got, want, sizeof(want));
        md_dataset_release(&d);
        md_model_free(m);
    }
}

static void test_csv__labels_are_classes_numbers_or_names(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net("x f32[B,1]; y = Relu(x); -> y");
    md_dataset d;

    (void)state;
    assert_md_ok(open_text(&d, m, "a.csv", "1,0.5\n2,-1\n3,2\n", NULL, &err),
                 &err);
    assert_int_equal(md_dataset_n_targets(&d), 1);
    assert_true(((const float *)d.labels.data)[0] == 0.5f);
    assert_true(((const float *)d.labels.data)[1] == -1.0f);
    md_dataset_release(&d);
    assert_md_ok(
        open_text(&d, m, "a.csv", "v,kind\n1,dog\n2,cat\n3,dog\n", NULL, &err),
        &err);
    assert_int_equal(d.n_classes, 2);
    assert_string_equal(d.classes[0], "cat");
    assert_int_equal(md_dataset_class(&d, 0), 1);
    assert_int_equal(md_dataset_class(&d, 1), 0);
    md_dataset_release(&d);
    /* The model's own names go first. */
    assert_md_ok(md_model_set_meta(m, "modeld.labels", "dog\r\nfox\ncat", &err),
                 &err);
    assert_md_ok(
        open_text(&d, m, "a.csv", "v,kind\n1,dog\n2,cat\n3,dog\n", NULL, &err),
        &err);
    assert_int_equal(md_dataset_class(&d, 0), 0);
    assert_int_equal(md_dataset_class(&d, 1), 2);
    assert_string_equal(d.classes[1], "fox");
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_csv__several_inputs_are_columns(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *m = net("age f32[B,1]; size f32[B,1]; y = Add(age, size); -> y");
    float got[ROOM];
    md_dataset d;

    (void)state;
    assert_md_ok(open_text(&d, m, "a.csv", "size,more,age,y\n1,2,3,0\n4,5,6,1",
                           NULL, &err),
                 &err);
    read_all(got, &d, 0);
    assert_true(got[0] == 3 && got[1] == 6);
    read_all(got, &d, 1);
    assert_true(got[0] == 1 && got[1] == 4);
    md_dataset_release(&d);
    md_model_free(m);
}

static void test_csv__what_does_not_fit_is_named(void **state)
{
    static const struct {
        const char *text, *label, *message;
    } cases[] = {
        { "", NULL, "no samples" },
        { "\n\n", NULL, "no samples" },
        { "a,b,label\n", NULL, "no samples" },
        { "1,2,0\n3,4\n", NULL, "row 2: 2 columns given, 3 expected" },
        { "1,2,3,0\n", NULL,
          "data for 'x': 3 columns beside the label given, float32[B,2]" },
        { "a,b,c\n1,2,0\n", "d", "no column is called 'd'" },
        { "a,b,c\n1,2,\n", NULL, "row 2 has no label" },
        { "1,\"2,0\n", NULL, "row 1: a quote is not closed" },
        { "1,\"2\"x,0\n", NULL, "row 1: a quote is not closed, or something" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net("x f32[B,2]; y = Relu(x); -> y");
        md_dataset d;
        md_status s =
            open_text(&d, m, "a.csv", cases[i].text, cases[i].label, &err);

        assert_true(s == MD_INVALID || s == MD_CORRUPT);
        if (!strstr(err.msg, cases[i].message))
            fail_msg("case %zu: %s", i, err.msg);
        md_model_free(m);
    }
}

static void test_csv__bad_fields_are_named_when_read(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        { "a,b,y\n1,2,0\n3,four,1\n", "row 3, column 2: 'four' given" },
        { "a,b,y\n1,2,0\n,4,1\n", "row 3, column 1: '' given" },
        { "a,b,y\n1,2,0\n3,nan,1\n", "row 3, column 2: 'nan' given" },
        { "a,b,y\n1,2,0\n3,1e999,1\n", "row 3, column 2: '1e999' given" },
    };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net("x f32[B,2]; y = Relu(x); -> y");
        float out[4];
        md_tensor t = { .dtype = MD_DTYPE_F32,
                        .shape = { 2, { 2, 2 } },
                        .data = out };
        md_dataset d;

        assert_md_ok(open_text(&d, m, "a.csv", cases[i].text, NULL, &err),
                     &err);
        assert_md_fails(md_dataset_read(&d, 0, NULL, 0, 2, &t, NULL, &err),
                        MD_INVALID, &err, cases[i].message);
        md_dataset_release(&d);
        md_model_free(m);
    }
}

static void test_csv__out_of_memory(void **state)
{
    static const char text[] = "v,kind\n1,dog\n2,cat\n3,dog\n";
    char path[MD_TEMP_SIZE * 2];
    md_model *m = net("x f32[B,1]; y = Relu(x); -> y");
    md_status s = MD_NOMEM;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "a.csv", text, sizeof(text) - 1);
    md_temp_path(path, &dir, "a.csv");
    for (int64_t n = 0; s != MD_OK; n++) {
        md_error err = MD_ERROR_INIT;
        fail_alloc f;
        md_dataset d;

        fail_alloc_init(&f);
        fail_alloc_arm(&f, n);
        s = md_dataset_open(&d, path, m, &(md_data_opts){ &f.alloc, NULL },
                            &err);
        if (fail_alloc_disarm(&f))
            assert_int_equal(s, MD_NOMEM);
        if (s == MD_OK)
            md_dataset_release(&d);
        assert_int_equal(f.n_live, 0);
    }
    md_temp_remove(&dir);
    md_model_free(m);
}

/* ---- IDX ---- */

static const char idx_images[] = "\0\0\x8\3\0\0\0\2\0\0\0\4\0\0\0\4"
                                 "0123456789abcdefghijklmnopqrstuv";
static const char idx_labels[] = "\0\0\x8\1\0\0\0\2\7\3";

static void test_idx_source__labels_lie_beside(void **state)
{
    char path[MD_TEMP_SIZE * 2];
    md_error err = MD_ERROR_INIT;
    md_model *m = net("x f32[B,1,4,4]; y = Relu(x); -> y");
    float got[ROOM];
    md_dataset d;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    md_temp_write(&dir, "train-images-idx3-ubyte", idx_images,
                  sizeof(idx_images) - 1);
    /* Without labels; by the file, and by its folder. */
    md_temp_path(path, &dir, "train-images-idx3-ubyte");
    assert_md_ok(md_dataset_open(&d, path, m, NULL, &err), &err);
    assert_null(d.labels.data);
    md_dataset_release(&d);
    md_temp_write(&dir, "train-labels-idx1-ubyte", idx_labels,
                  sizeof(idx_labels) - 1);
    for (int i = 0; i < 2; i++) {
        assert_md_ok(md_dataset_open(&d, i ? dir.path : path, m, NULL, &err),
                     &err);
        assert_int_equal(d.n, 2);
        assert_int_equal(md_dataset_class(&d, 0), 7);
        assert_int_equal(md_dataset_class(&d, 1), 3);
        read_all(got, &d, 0);
        for (int k = 0; k < 32; k++)
            assert_near(got[k], (unsigned char)idx_images[16 + k] / 255., 1e-6);
        md_dataset_release(&d);
    }
    md_temp_write(&dir, "train-labels-idx1-ubyte", "\0\0\x8\1\0\0\0\3\7\3\1",
                  11);
    assert_md_fails(md_dataset_open(&d, path, m, NULL, &err), MD_INVALID, &err,
                    "labels 'y': 3 of uint8 given, 2 integers");
    md_temp_remove(&dir);
    md_model_free(m);
}

/* ---- pictures ---- */

/* A gray picture of 4 x 4, all of value v. */
static void write_picture(const char *folder, const char *name, char v)
{
    char path[MD_TEMP_SIZE * 3];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    if (!f)
        return;
    fputs("P5 4 4 255\n", f);
    for (int i = 0; i < 16; i++)
        fputc(v, f);
    fclose(f);
}

static void make_class(const md_temp *dir, const char *name, char v, int n)
{
    char folder[MD_TEMP_SIZE * 2], file[32];

    md_temp_path(folder, dir, name);
    assert_int_equal(mkdir(folder, 0700), 0);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof(file), "p%d.PGM", i);
        write_picture(folder, file, (char)(v + i));
    }
    snprintf(file, sizeof(file), "notes.txt");
    write_picture(folder, file, 0);
}

static void test_images__folders_are_classes(void **state)
{
    static const struct {
        const char *first, *second;
        int64_t a, b; /* classes */
    } cases[] = { { "ant", "bee", 0, 1 },
                  { "bee", "ant", 1, 0 },
                  { "10", "9", 10, 9 } };

    (void)state;
    for (size_t i = 0; i < MD_COUNT(cases); i++) {
        md_error err = MD_ERROR_INIT;
        md_model *m = net("x f32[B,1,4,4]; y = Relu(x); -> y");
        float got[ROOM];
        md_dataset d;
        md_temp dir;
        int n_a = 0;

        md_temp_make(&dir);
        make_class(&dir, cases[i].first, 10, 2);
        make_class(&dir, cases[i].second, 50, 1);
        assert_md_ok(md_dataset_open(&d, dir.path, m, NULL, &err), &err);
        assert_int_equal(d.n, 3);
        read_all(got, &d, 0);
        for (int64_t k = 0; k < 3; k++) {
            bool is_a = md_dataset_class(&d, k) == cases[i].a;

            n_a += is_a;
            assert_true(is_a || md_dataset_class(&d, k) == cases[i].b);
            assert_true((got[k * 16] < 0.1f) == is_a);
        }
        assert_int_equal(n_a, 2);
        md_dataset_release(&d);
        md_temp_remove(&dir);
        md_model_free(m);
    }
}

static void test_images__what_does_not_fit_is_named(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_model *flat = net("x f32[B,16]; y = Relu(x); -> y");
    md_model *open = net("x f32[B,1,H,W]; y = Relu(x); -> y");
    md_model *good = net("x f32[B,1,4,4]; y = Relu(x); -> y");
    float out[16];
    md_tensor t = { .dtype = MD_DTYPE_F32,
                    .shape = { 4, { 1, 1, 4, 4 } },
                    .data = out };
    md_dataset d;
    md_temp dir;

    (void)state;
    md_temp_make(&dir);
    assert_md_fails(md_dataset_open(&d, dir.path, good, NULL, &err), MD_INVALID,
                    &err, "no folder for a class");
    make_class(&dir, "a", 1, 0);
    assert_md_fails(md_dataset_open(&d, dir.path, good, NULL, &err), MD_INVALID,
                    &err, "no samples");
    assert_md_fails(md_dataset_open(&d, dir.path, flat, NULL, &err), MD_INVALID,
                    &err, "takes no pictures: input 'x' is float32[B,16]");
    assert_md_fails(md_dataset_open(&d, dir.path, open, NULL, &err), MD_INVALID,
                    &err, "pictures need fixed sides");
    md_temp_write(&dir, "a/broken.png", "\x89PNG\r\n\x1a\n", 8);
    assert_md_ok(md_dataset_open(&d, dir.path, good, NULL, &err), &err);
    assert_int_not_equal(md_dataset_read(&d, 0, NULL, 0, 1, &t, NULL, &err),
                         MD_OK);
    assert_non_null(strstr(err.msg, "a/broken.png"));
    md_dataset_release(&d);
    md_temp_remove(&dir);
    md_model_free(flat);
    md_model_free(open);
    md_model_free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__forms_of_one_table),
        cmocka_unit_test(test_csv__labels_are_classes_numbers_or_names),
        cmocka_unit_test(test_csv__several_inputs_are_columns),
        cmocka_unit_test(test_csv__what_does_not_fit_is_named),
        cmocka_unit_test(test_csv__bad_fields_are_named_when_read),
        cmocka_unit_test(test_csv__out_of_memory),
        cmocka_unit_test(test_idx_source__labels_lie_beside),
        cmocka_unit_test(test_images__folders_are_classes),
        cmocka_unit_test(test_images__what_does_not_fit_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

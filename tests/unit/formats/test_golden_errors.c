/*
 * tests/golden/errors: files that must fail, each with the status and the
 * text that expected.txt gives ("file STATUS text", one a line).
 */
#include "support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "convert/convert.h"
#include "formats/npy.h"
#include "formats/npz.h"
#include "formats/onnx.h"
#include "image/image.h"

#define FOLDER MD_TEST_DIR "/golden/errors"

static md_status open_onnx(const char *path, md_error *err)
{
    md_model *m = NULL;
    md_status s = md_onnx_load(&m, path, md_alloc_default(), err);

    if (s == MD_OK)
        md_model_free(m);
    return s;
}

static md_status open_npy(const char *path, md_error *err)
{
    md_tensor t = MD_TENSOR_INIT;
    md_status s = md_npy_load(&t, path, md_alloc_default(), err);

    md_tensor_release(&t);
    return s;
}

static md_status open_npz(const char *path, md_error *err)
{
    md_npz *npz = NULL;
    md_status s = md_npz_open(&npz, path, 0, md_alloc_default(), err);

    for (uint32_t i = 0; s == MD_OK && i < md_npz_count(npz); i++) {
        md_tensor t = MD_TENSOR_INIT;

        s = md_npz_read(&t, npz, i, err);
        md_tensor_release(&t);
    }
    md_npz_free(npz);
    return s;
}

static md_status open_picture(const char *path, md_error *err)
{
    md_image image;
    md_status s;
    md_map map;

    MD_TRY(md_map_open(&map, path, err));
    s = md_image_decode(&image, map.data, map.size, 3, MD_IMAGE_PIXELS_MAX,
                        md_alloc_default(), err);
    md_map_release(&map);
    md_image_release(&image);
    return s;
}

static md_status open_foreign(const char *path, md_error *err)
{
    md_model *m = NULL;
    md_status s = md_convert(&m, path, NULL, NULL, md_alloc_default(), err);

    if (s == MD_OK)
        md_model_free(m);
    return s;
}

static const struct {
    const char *ending;
    md_status (*open)(const char *path, md_error *err);
} kinds[] = {
    { ".onnx", open_onnx },     { ".npy", open_npy },
    { ".npz", open_npz },       { ".png", open_picture },
    { ".jpg", open_picture },   { ".h5", open_foreign },
    { ".keras", open_foreign }, { ".tflite", open_foreign },
};

/* Opens the file as its ending says; MD_OK for what is no case. */
static bool open_case(md_status *s, const char *name, md_error *err)
{
    const char *ending = strrchr(name, '.');
    char path[1024];

    snprintf(path, sizeof(path), FOLDER "/%s", name);
    for (size_t i = 0; ending && i < MD_COUNT(kinds); i++) {
        if (strcmp(kinds[i].ending, ending) == 0) {
            *s = kinds[i].open(path, err);
            return true;
        }
    }
    return false;
}

static unsigned check_lines(char *line)
{
    unsigned n = 0;

    for (char *end; *line; line = end, n++) {
        md_error err = MD_ERROR_INIT;
        md_status s = MD_OK;
        char *status = strchr(line, ' ');
        char *text;

        assert_non_null(status);
        *status++ = '\0';
        text = strchr(status, ' ');
        assert_non_null(text);
        *text++ = '\0';
        end = text + strcspn(text, "\n");
        end += *end ? (*end = '\0', 1) : 0;
        assert_true(open_case(&s, line, &err));
        if (strcmp(md_status_name(s), status) != 0 || !strstr(err.msg, text))
            fail_msg("%s: %s '%s' given, %s '%s' expected", line,
                     md_status_name(s), err.msg, status, text);
    }
    return n;
}

static unsigned count_files(void)
{
    const struct dirent *e;
    DIR *dir = opendir(FOLDER);
    unsigned n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir))) {
        const char *ending = strrchr(e->d_name, '.');

        for (size_t i = 0; ending && i < MD_COUNT(kinds); i++)
            n += strcmp(kinds[i].ending, ending) == 0;
    }
    closedir(dir);
    return n;
}

/* Every file has its line, every line its file. */
static void test_golden_errors__files_fail_as_told(void **state)
{
    md_error err = MD_ERROR_INIT;
    md_buf text;

    (void)state;
    md_buf_init(&text, md_alloc_default(), 1 << 20);
    assert_md_ok(md_file_read(&text, FOLDER "/expected.txt", &err), &err);
    assert_int_equal(check_lines((char *)text.data), count_files());
    md_buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_errors__files_fail_as_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * JSON in three ways over any bytes: tokens, arrays of numbers, and what was
 * read written again, which must read the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Copy every token to w; false when the text is refused. */
static bool copy(md_json_writer *w, const uint8_t *data, size_t size,
                 md_arena *ar)
{
    md_json_opts opts = MD_JSON_OPTS_INIT;
    md_json_token t;
    const char *s;
    size_t n;
    md_json r;

    opts.depth_max = MD_LIMIT_JSON_DEPTH_CAP;
    md_json_init(&r, data, size, &opts);
    for (;;) {
        if (md_json_next(&r, &t, NULL) != MD_OK)
            return false;
        switch (t.kind) {
        case MD_JSON_END:
            return true;
        case MD_JSON_OBJECT:
            md_json_put_object(w);
            break;
        case MD_JSON_ARRAY:
            md_json_put_array(w);
            break;
        case MD_JSON_OBJECT_END:
        case MD_JSON_ARRAY_END:
            md_json_put_end(w);
            break;
        case MD_JSON_NAME:
            require(md_json_string(&t, ar, &s, &n, NULL) == MD_OK);
            require(md_json_is(&t, s) == (strlen(s) == n));
            md_json_put_name(w, s);
            break;
        case MD_JSON_STRING:
            require(md_json_string(&t, ar, &s, &n, NULL) == MD_OK);
            md_json_put_strn(w, s, n);
            break;
        default:
            md_json_put_raw(w, t.text, t.size);
        }
    }
}

/* Written text is accepted, and writing it again changes nothing. */
static void round_trip(const uint8_t *data, size_t size, md_arena *ar)
{
    md_json_writer w, again;
    md_buf one, two;

    md_buf_init(&one, md_alloc_default(), (size_t)1 << 26);
    md_buf_init(&two, md_alloc_default(), (size_t)1 << 26);
    md_json_writer_init(&w, &one);
    if (copy(&w, data, size, ar) && md_json_finish(&w, NULL) == MD_OK) {
        md_json_writer_init(&again, &two);
        require(copy(&again, one.data, one.size, ar));
        require(md_json_finish(&again, NULL) == MD_OK);
        require(one.size == two.size &&
                memcmp(one.data, two.data, one.size) == 0);
    }
    md_buf_release(&one);
    md_buf_release(&two);
}

/* Numbers survive being written and read. */
static void arrays(const uint8_t *data, size_t size)
{
    md_json_nest nest, back;
    md_json_writer w;
    md_buf x, text, y;
    md_json r;

    md_buf_init(&x, md_alloc_default(), (size_t)1 << 20);
    md_buf_init(&y, md_alloc_default(), (size_t)1 << 20);
    md_buf_init(&text, md_alloc_default(), (size_t)1 << 26);
    md_json_init(&r, data, size, NULL);
    if (md_json_read_array(&r, MD_JSON_F32, &x, &nest, NULL) == MD_OK) {
        md_json_writer_init(&w, &text);
        md_json_put_array(&w);
        md_json_put_f32s(&w, (const float *)(const void *)x.data,
                         x.size / sizeof(float));
        md_json_put_end(&w);
        require(md_json_finish(&w, NULL) == MD_OK);
        md_json_init(&r, text.data, text.size, NULL);
        require(md_json_read_array(&r, MD_JSON_F32, &y, &back, NULL) == MD_OK);
        require(x.size == y.size &&
                (x.size == 0 || memcmp(x.data, y.data, x.size) == 0));
    }
    for (int item = MD_JSON_F64; item <= MD_JSON_BOOL; item++) {
        md_buf_reset(&x);
        md_json_init(&r, data, size, NULL);
        (void)md_json_read_array(&r, (md_json_item)item, &x, &nest, NULL);
    }
    md_buf_release(&x);
    md_buf_release(&y);
    md_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    md_arena ar;

    md_arena_init(&ar, md_alloc_default(), 0);
    round_trip(data, size, &ar);
    arrays(data, size);
    md_arena_release(&ar);
    return 0;
}

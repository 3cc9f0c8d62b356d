/* config.pbtxt, and the same message as JSON. */
#include <stdlib.h>

#include "formats/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const md_model_config *c)
{
    if (c->max_batch_size < 0 || c->n_instances < 0 ||
        c->batching.default_level > c->batching.n_levels)
        abort();
    if (c->default_model_filename &&
        !md_config_is_file_name(c->default_model_filename))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    md_model_config c;
    md_arena ar;

    md_arena_init(&ar, md_alloc_default(), (size_t)256 << 20);
    if (md_model_config_parse(&c, text, size, &ar, NULL) == MD_OK)
        check(&c);
    md_arena_reset(&ar);
    if (md_model_config_from_json(&c, text, size, &ar, NULL) == MD_OK)
        check(&c);
    md_arena_release(&ar);
    return 0;
}

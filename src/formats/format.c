#include "formats/format.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

static const md_format *const formats[] = {
#define FORMAT(id) &md_format_##id,
#include "formats/formats.def"
#undef FORMAT
    NULL,
};

const md_format *const *md_format_list(void)
{
    return formats;
}

const md_format *md_format_find(const void *bytes, size_t size)
{
    for (size_t i = 0; formats[i]; i++) {
        if (formats[i]->probe && formats[i]->probe(bytes, size))
            return formats[i];
    }
    return NULL;
}

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path);
    size_t k = strlen(ending);

    return n > k && strcmp(path + n - k, ending) == 0;
}

static const md_format *find_by_ending(const char *path)
{
    for (size_t i = 0; formats[i]; i++) {
        if (!formats[i]->probe && ends_in(path, formats[i]->ending))
            return formats[i];
    }
    return NULL;
}

static md_status fail_unknown(const char *path, md_error *err)
{
    char names[128] = "";
    size_t at = 0;

    for (size_t i = 0; formats[i] && at < sizeof(names); i++)
        at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
                               i ? ", " : "", formats[i]->title);
    return md_fail(err, MD_UNSUPPORTED, "'%s' is of no known format: %s", path,
                   names);
}

md_status md_format_detect(const md_format **out, const char *path,
                           md_error *err)
{
    const md_format *f;
    md_map map;

    MD_TRY(md_map_open(&map, path, err));
    f = md_format_find(map.data, map.size);
    md_map_release(&map);
    if (!f)
        f = find_by_ending(path);
    if (!f)
        return fail_unknown(path, err);
    *out = f;
    return MD_OK;
}

md_status md_format_load_model(md_model **out, const char *path, md_load use,
                               const md_alloc *alloc, md_error *err)
{
    const md_format *f = NULL;
    md_status s = md_format_detect(&f, path, err);

    if (s != MD_OK || !f)
        return s;
    if (!f->load_model)
        return md_fail(err, MD_UNSUPPORTED, "'%s' (%s) holds no model", path,
                       f->title);
    return f->load_model(out, path, use, alloc, err);
}

md_status md_format_load_tensor(md_tensor *out, const char *path,
                                const md_alloc *alloc, md_error *err)
{
    const md_format *f = NULL;
    md_status s = md_format_detect(&f, path, err);

    if (s != MD_OK || !f)
        return s;
    if (!f->load_tensor)
        return md_fail(err, MD_UNSUPPORTED, "'%s' (%s) is not one tensor", path,
                       f->title);
    return f->load_tensor(out, path, alloc, err);
}

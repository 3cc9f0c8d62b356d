#define _XOPEN_SOURCE 700 /* nftw */
#include "support/temp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

void md_temp_make(md_temp *t)
{
    const char *base = getenv("TMPDIR");

    snprintf(t->path, sizeof(t->path), "%s/modeld-test-XXXXXX",
             base ? base : "/tmp");
    assert_non_null(mkdtemp(t->path));
}

const char *md_temp_path(char buf[MD_TEMP_SIZE * 2], const md_temp *t,
                         const char *name)
{
    snprintf(buf, MD_TEMP_SIZE * 2, "%s/%s", t->path, name);
    return buf;
}

void md_temp_write(const md_temp *t, const char *name, const void *data,
                   size_t size)
{
    char path[MD_TEMP_SIZE * 2];
    FILE *f = fopen(md_temp_path(path, t, name), "wb");

    assert_non_null(f);
    assert_int_equal(size ? fwrite(data, 1, size, f) : 0, size);
    assert_int_equal(fclose(f), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

void md_temp_remove(const md_temp *t)
{
    nftw(t->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/*
 * Runs one fuzz target over files without a fuzzing engine, so that every
 * input that once broke something is an ordinary test in every build.
 *
 * Arguments are files or folders (not descended into).  A target fails by
 * crashing; replay itself fails when a path cannot be read or holds nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PATH_SIZE = 4096,
    FILE_SIZE_MAX = 16 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs the target over one file; 1 when it was read, 0 when it was not. */
static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    int done = 0;

    if (!f)
        goto out;
    if (fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size < 0 || size > FILE_SIZE_MAX || fseek(f, 0, SEEK_SET) != 0)
        goto out;
    /* An exact heap copy, so that ASan sees a read past the end. */
    data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        goto out;
    LLVMFuzzerTestOneInput(data, (size_t)size);
    done = 1;
out:
    if (!done)
        fprintf(stderr, "replay: cannot read %s\n", path);
    free(data);
    if (f)
        fclose(f);
    return done;
}

/* Replays every visible file of a folder; how many, or -1 on failure. */
static int replay_folder(const char *path)
{
    char name[PATH_SIZE];
    const struct dirent *e;
    DIR *dir = opendir(path);
    int n = 0;

    if (!dir) {
        fprintf(stderr, "replay: cannot open %s\n", path);
        return -1;
    }
    while (n >= 0 && (e = readdir(dir))) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        n = replay_file(name) ? n + 1 : -1;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int n;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            n = replay_folder(argv[i]);
        else
            n = replay_file(argv[i]) ? 1 : -1;
        if (n < 0)
            return 1;
        total += n;
    }
    printf("replayed %d inputs\n", total);
    return total > 0 ? 0 : 1;
}

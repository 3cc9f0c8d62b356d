#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    PATH_SIZE = 4096
};

/* Numbers of a file into v; how many there are. */
static int read_numbers(const char *dir, const char *name, long long v[2])
{
    char path[PATH_SIZE + 64];
    FILE *f;
    int n;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "re");
    if (!f)
        return 0;
    n = fscanf(f, "%lld %lld", &v[0], &v[1]); /* "max 100000": none */
    fclose(f);
    return n;
}

/* What the files of one group say. */
static double quota_of(const char *dir, bool v1)
{
    long long quota[2] = { 0 }, period[2] = { 0 };

    if (!v1) {
        if (read_numbers(dir, "cpu.max", quota) != 2)
            return 0;
        period[0] = quota[1];
    } else if (read_numbers(dir, "cpu.cfs_quota_us", quota) < 1 ||
               read_numbers(dir, "cpu.cfs_period_us", period) < 1) {
        return 0;
    }
    return quota[0] > 0 && period[0] > 0 ? (double)quota[0] / (double)period[0]
                                         : 0;
}

/* The least of a group, `path` under `root`, and those above it. */
static double least_quota(const char *root, char *path, bool v1)
{
    double least = 0;

    for (;;) {
        char dir[PATH_SIZE], *slash;
        double q;

        snprintf(dir, sizeof(dir), "%s%s", root, path);
        q = quota_of(dir, v1);
        if (q > 0 && (least == 0 || q < least))
            least = q;
        slash = strrchr(path, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* A line "4:cpu,cpuacct:/path" or "0::/path". */
static double quota_of_line(char *line, const char *mount)
{
    char *controllers = strchr(line, ':'), *path, root[PATH_SIZE / 2];
    bool v1;

    line[strcspn(line, "\n")] = '\0';
    path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return 0;
    *path++ = '\0';
    controllers++;
    v1 = *controllers != '\0';
    if (v1 && !md_text_in_list("cpu", controllers, ','))
        return 0;
    snprintf(root, sizeof(root), "%s%s", mount, v1 ? "/cpu" : "");
    return least_quota(root, path, v1);
}

double md_cgroup_cpus(const char *self, const char *mount)
{
    FILE *f = fopen(self, "re");
    char line[PATH_SIZE / 2];
    double least = 0;

    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        double q = quota_of_line(line, mount);

        if (q > 0 && (least == 0 || q < least))
            least = q;
    }
    fclose(f);
    return least;
}

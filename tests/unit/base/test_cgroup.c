/* Trees of control groups as different systems have them, in a folder. */
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cpu.h"

enum {
    PATH_SIZE = 512
};

static char root[64];

/* Write `text` to a file below the root, whose folders are made. */
static void put(const char *name, const char *text)
{
    char path[PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    f = fopen(path, "we");
    assert_non_null(f);
    if (!f)
        return;
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static double cpus(void)
{
    char self[PATH_SIZE], mount[PATH_SIZE];

    snprintf(self, sizeof(self), "%s/self", root);
    snprintf(mount, sizeof(mount), "%s/cg", root);
    return md_cgroup_cpus(self, mount);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/md_cgroup_XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    char command[PATH_SIZE];

    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", root);
    return system(command);
}

static void is(double want)
{
    double got = cpus();

    assert_true(got > want - 1e-9 && got < want + 1e-9);
}

static void test_cgroup__version_2(void **state)
{
    (void)state;
    is(0); /* no list */
    put("self", "0::/system.slice/modeld.service\n");
    is(0); /* no groups */
    put("cg/system.slice/modeld.service/cpu.max", "max 100000\n");
    is(0);
    put("cg/system.slice/modeld.service/cpu.max", "150000 100000\n");
    is(1.5);
    put("cg/system.slice/cpu.max", "400000 100000\n");
    is(1.5);
    put("cg/system.slice/cpu.max", "10000 50000\n"); /* those above count */
    is(0.2);
    put("cg/cpu.max", "1000 100000\n");
    is(0.01);
}

/* A container sees its own group as the root. */
static void test_cgroup__container(void **state)
{
    (void)state;
    put("self", "0::/\n");
    put("cg/cpu.max", "250000 100000\n");
    is(2.5);
    put("self", "0::/../../docker/0123\n"); /* of a group outside */
    is(2.5);
}

static void test_cgroup__version_1(void **state)
{
    (void)state;
    put("self", "3:cpuset:/\n2:cpu,cpuacct:/docker/77\n1:name=systemd:/\n"
                "0::/\n");
    is(0);
    put("cg/cpu/docker/77/cpu.cfs_quota_us", "-1\n");
    put("cg/cpu/docker/77/cpu.cfs_period_us", "100000\n");
    is(0);
    put("cg/cpu/docker/77/cpu.cfs_quota_us", "300000\n");
    is(3);
    put("cg/cpu/cpu.cfs_quota_us", "50000\n");
    is(3); /* without a period it says nothing */
    put("cg/cpu/cpu.cfs_period_us", "100000\n");
    is(0.5);
    put("self", "2:cpuset,xcpu:/docker/77\n");
    is(0); /* not the controller */
}

/* Nonsense is no quota, and nothing is read past its end. */
static void test_cgroup__nonsense(void **state)
{
    char line[5000];

    (void)state;
    put("cg/cpu.max", "");
    put("self", "0::/\n");
    is(0);
    put("cg/cpu.max", "0 0\n");
    is(0);
    put("cg/cpu.max", "-5 100000\n");
    is(0);
    put("cg/cpu.max", "5 -100000\n");
    is(0);
    put("cg/cpu.max", "200000 100000\n");
    put("self", "\n:\n::\n0\nnonsense\n0:\n");
    is(2); /* "::" is the root */
    memset(line, 'a', sizeof(line));
    memcpy(line, "0::/", 4);
    line[sizeof(line) - 1] = '\0';
    put("self", line);
    is(2); /* cut, and none of it is there but the root */
}

static void test_cgroup__of_this_process(void **state)
{
    (void)state;
    assert_true(md_cpu_count() >= 1);
    if (md_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup") > 0)
        assert_true(md_cpu_has_quota());
    else
        assert_false(md_cpu_has_quota());
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        CASE(test_cgroup__version_2),       CASE(test_cgroup__container),
        CASE(test_cgroup__version_1),       CASE(test_cgroup__nonsense),
        CASE(test_cgroup__of_this_process),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Confinement of a child process that reads hostile bytes. */
#include "convert/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/size.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Close descriptors from..to; gaps are fine. */
static void close_between(unsigned from, unsigned to)
{
    if (from <= to)
        syscall(SYS_close_range, from, to, 0U);
}

static void close_others(const md_sandbox *box)
{
    unsigned a = (unsigned)box->fd[0];
    unsigned b = (unsigned)box->fd[1];
    unsigned lo = a < b ? a : b;
    unsigned hi = a < b ? b : a;
    unsigned first = SANITIZED ? 3 : 0;

    if (lo > first)
        close_between(first, lo - 1);
    if (hi > lo + 1)
        close_between(lo + 1, hi - 1);
    close_between(hi + 1, ~0U);
}

/* Bytes of address space in use, 0 when /proc does not tell. */
static size_t mapped_now(void)
{
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    size_t bytes = 0;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    if (!md_mul_size(&bytes, strtoull(text, NULL, 10),
                     (size_t)sysconf(_SC_PAGESIZE)))
        return 0;
    return bytes;
}

static md_status limit_one(int what, const char *name, size_t value,
                           md_error *err)
{
    struct rlimit now;
    struct rlimit want = { value, value };

    if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < value)
        want.rlim_cur = want.rlim_max = now.rlim_max;
    if (setrlimit((__rlimit_resource_t)what, &want) == 0)
        return MD_OK;
    return md_fail(err, MD_UNAVAILABLE, "limit of %s: %s", name,
                   strerror(errno));
}

static md_status limit_resources(const md_sandbox *box, md_error *err)
{
    size_t mapped = mapped_now();
    size_t memory;

    if (!SANITIZED && md_add_size(&memory, mapped, box->memory))
        MD_TRY(limit_one(RLIMIT_AS, "address space", memory, err));
    MD_TRY(limit_one(RLIMIT_CPU, "processor time", box->cpu_s, err));
    MD_TRY(limit_one(RLIMIT_FSIZE, "file size", 0, err));
    MD_TRY(limit_one(RLIMIT_CORE, "core size", 0, err));
    MD_TRY(limit_one(RLIMIT_NPROC, "processes", 0, err));
    return limit_one(RLIMIT_NOFILE, "descriptors", 0, err);
}

/* Every right over files that the kernel's Landlock knows, granted nowhere. */
static void deny_files(void)
{
    /* Rights grow by version: 13 in the first, then rename across folders,
     * truncate, and (fifth) ioctl on devices. */
    static const unsigned n_rights[] = { 0, 13, 14, 15, 15, 16 };
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
                           LANDLOCK_CREATE_RULESET_VERSION);
    struct {
        uint64_t handled_access_fs;
    } rules;
    long fd;

    if (version < 1)
        return;
    if ((size_t)version >= MD_COUNT(n_rights))
        version = (long)MD_COUNT(n_rights) - 1;
    rules.handled_access_fs = (1ULL << n_rights[version]) - 1;
    fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (fd < 0)
        return;
    syscall(SYS_landlock_restrict_self, (int)fd, 0);
    close((int)fd);
}

/* Calls that memory allocation, clocks and leaving need, whatever they get. */
static const int free_calls[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(madvise),
    SCMP_SYS(munmap),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sigaltstack),
};

/* Calls that a C library tries and does without: they fail, no more. */
static const int failing_calls[] = {
    SCMP_SYS(access),   SCMP_SYS(fstat),  SCMP_SYS(getcwd),
    SCMP_SYS(ioctl),    SCMP_SYS(lseek),  SCMP_SYS(newfstatat),
    SCMP_SYS(open),     SCMP_SYS(openat), SCMP_SYS(prlimit64),
    SCMP_SYS(readlink), SCMP_SYS(stat),   SCMP_SYS(sysinfo),
};

static int add_memory_rules(scmp_filter_ctx f)
{
    int r = 0;

    r |= seccomp_rule_add(
        f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
        SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mremap), 0);
    return r;
}

static int add_rules(scmp_filter_ctx f, const md_sandbox *box)
{
    int r = add_memory_rules(f);

    for (size_t i = 0; i < MD_COUNT(free_calls); i++)
        r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, free_calls[i], 0);
    for (size_t i = 0; i < MD_COUNT(failing_calls); i++)
        r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), failing_calls[i], 0);
    for (size_t i = 0; i < MD_COUNT(box->fd); i++) {
        r |=
            seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)box->fd[i], 0));
    }
    if (SANITIZED)
        r |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                              SCMP_A0(SCMP_CMP_EQ, 2, 0));
    return r;
}

static md_status filter_calls(const md_sandbox *box, md_error *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int r = f ? add_rules(f, box) : -ENOMEM;

    if (r == 0)
        r = seccomp_load(f);
    if (f)
        seccomp_release(f);
    if (r == 0)
        return MD_OK;
    return md_fail(err, MD_UNAVAILABLE,
                   "seccomp filter refused by the kernel: %s", strerror(-r));
}

md_status md_sandbox_enter(const md_sandbox *box, md_error *err)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return md_fail(err, MD_UNAVAILABLE, "no_new_privs: %s",
                       strerror(errno));
    close_others(box);
    deny_files();
    MD_TRY(limit_resources(box, err));
    return filter_calls(box, err);
}

#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/cgroup.h"
#include "base/text.h"

static const struct {
    const char *name;
    uint32_t flag;
    uint32_t needs;
} rows[] = {
#define CPU(id, name, bit, needs, what) { name, 1u << (bit), needs },
#include "base/cpu_flags.def"
#undef CPU
};

static _Atomic uint32_t cpu_mask = UINT32_MAX;

enum {
    XCR0_YMM = 1 << 2,
    XCR0_AVX = 0x6,
    XCR0_AVX512 = 0xe6,
    XCR0_AMX = 3 << 17,
};

static bool bit(uint32_t word, unsigned n)
{
    return (word >> n) & 1;
}

/* Drop flags whose requirements are missing. */
static uint32_t closed(uint32_t f)
{
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if ((f & rows[i].needs) != rows[i].needs)
            f &= ~rows[i].flag;
    }
    return f;
}

/* Bits: Intel SDM vol. 2A, CPUID leaves 1 and 7. */
uint32_t md_cpu_detect(const md_cpu_probe *p)
{
    uint32_t l0[4], l1[4], l7[4] = { 0 }, l71[4] = { 0 };
    uint64_t xcr0;
    uint32_t f = 0;

    p->cpuid(0, 0, l0);
    if (l0[0] < 7)
        return MD_CPU_NONE;
    p->cpuid(1, 0, l1);
    if (!bit(l1[2], 27)) /* OSXSAVE */
        return MD_CPU_NONE;
    xcr0 = p->xgetbv();
    p->cpuid(7, 0, l7);
    if (l7[0] >= 1)
        p->cpuid(7, 1, l71);
    if ((xcr0 & XCR0_AVX) == XCR0_AVX && bit(l7[1], 5) && bit(l1[2], 12) &&
        bit(l1[2], 29))
        f |= MD_CPU_AVX2;
    if (bit(l71[0], 4))
        f |= MD_CPU_AVXVNNI;
    if ((xcr0 & XCR0_AVX512) == XCR0_AVX512 && bit(l7[1], 16) &&
        bit(l7[1], 17) && bit(l7[1], 30) && bit(l7[1], 31)) {
        f |= MD_CPU_AVX512;
        if (bit(l7[2], 11))
            f |= MD_CPU_AVX512VNNI;
        if (bit(l71[0], 5))
            f |= MD_CPU_AVX512BF16;
    }
    if ((xcr0 & XCR0_AMX) == XCR0_AMX && bit(l7[3], 24) && p->amx_request()) {
        if (bit(l7[3], 22))
            f |= MD_CPU_AMX_BF16;
        if (bit(l7[3], 25))
            f |= MD_CPU_AMX_INT8;
    }
    return closed(f);
}

#if defined(__x86_64__)
static void sys_cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
    uint32_t a, b, c, d;

    __cpuid_count(leaf, sub, a, b, c, d);
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

static uint64_t sys_xgetbv(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* Since 5.16 Linux gives the 8 KiB of tile state only to a process that asks
 * for it (Documentation/arch/x86/xstate.rst). */
static int sys_amx_request(void)
{
    enum {
        ARCH_REQ_XCOMP_PERM = 0x1023,
        XFEATURE_XTILEDATA = 18
    };

    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ==
           0;
}

static uint32_t detect(void)
{
    static const md_cpu_probe probe = { sys_cpuid, sys_xgetbv,
                                        sys_amx_request };

    return md_cpu_detect(&probe);
}

static void brand(char name[49])
{
    uint32_t r[4];

    sys_cpuid(0x80000000u, 0, r);
    name[0] = '\0';
    if (r[0] < 0x80000004u)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        sys_cpuid(0x80000002u + i, 0, r);
        memcpy(name + (size_t)16 * i, r, 16);
    }
    name[48] = '\0';
}
#else
static uint32_t detect(void)
{
    return MD_CPU_NONE;
}

static void brand(char name[49])
{
    name[0] = '\0';
}
#endif

uint32_t md_cpu_flags(void)
{
    static const uint32_t unknown = UINT32_MAX;
    static _Atomic uint32_t found = UINT32_MAX;
    uint32_t f = atomic_load_explicit(&found, memory_order_relaxed);

    if (f == unknown) {
        f = detect();
        atomic_store_explicit(&found, f, memory_order_relaxed);
    }
    return closed(f & atomic_load_explicit(&cpu_mask, memory_order_relaxed));
}

void md_cpu_set_mask(uint32_t mask)
{
    atomic_store_explicit(&cpu_mask, mask, memory_order_relaxed);
}

/* The row called by n bytes of name, or NULL's index: MD_COUNT(rows). */
static size_t find_row(const char *name, size_t n)
{
    size_t i;

    for (i = 0; i < MD_COUNT(rows); i++) {
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0)
            break;
    }
    return i;
}

md_status md_cpu_mask_parse(uint32_t *out, const char *text, md_error *err)
{
    uint32_t mask = 0;

    if (strcmp(text, "all") == 0) {
        *out = MD_CPU_ALL;
        return MD_OK;
    }
    if (strcmp(text, "none") == 0) {
        *out = MD_CPU_NONE;
        return MD_OK;
    }
    for (const char *p = text;;) {
        size_t n = strcspn(p, ",");
        size_t i = find_row(p, n);

        if (i == MD_COUNT(rows)) {
            char known[128], word[48];

            md_cpu_format(known, sizeof(known), MD_CPU_ALL);
            return md_fail(err, MD_INVALID,
                           "CPU level %s is unknown, expected all, none or "
                           "some of %s",
                           md_text_quote(word, sizeof(word), p, n), known);
        }
        mask |= rows[i].flag | rows[i].needs;
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    /* What a required level requires in turn. */
    for (size_t i = MD_COUNT(rows); i-- > 0;) {
        if (mask & rows[i].flag)
            mask |= rows[i].needs;
    }
    *out = mask;
    return MD_OK;
}

void md_cpu_format(char *buf, unsigned size, uint32_t flags)
{
    size_t at = 0;

    if (size == 0)
        return;
    buf[0] = '\0';
    for (size_t i = 0; i < MD_COUNT(rows); i++) {
        if (!(flags & rows[i].flag) || at >= size)
            continue;
        at += (size_t)snprintf(buf + at, size - at, "%s%s", at ? "," : "",
                               rows[i].name);
    }
    if (at == 0)
        snprintf(buf, size, "none");
}

static char cpu_name[49];

static void read_cpu_name(void)
{
    brand(cpu_name);
}

const char *md_cpu_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_cpu_name);
    return cpu_name[0] ? cpu_name : "unknown CPU";
}

static double quota(void)
{
    return md_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
}

bool md_cpu_has_quota(void)
{
    return quota() > 0;
}

int md_cpu_count(void)
{
    cpu_set_t set;
    int n = 1;
    double q = quota();

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
    if (q > 0 && q <= n - 1)
        n = (int)ceil(q);
    return n > 0 ? n : 1;
}

/*
 * CPU features, found once.
 *
 * A flag is set only when CPUID reports the feature, XCR0 says that the
 * kernel saves its registers and, for AMX, the kernel has granted tile data
 * to this process.  A mask can hide any flag, so that every kernel level can
 * be tested on one machine.
 */
#ifndef MD_BASE_CPU_H
#define MD_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum md_cpu_flags {
    MD_CPU_NONE = 0,
#define CPU(id, name, bit, needs, what) MD_CPU_##id = 1 << (bit),
#include "base/cpu_flags.def"
#undef CPU
    MD_CPU_ALL = (1 << 7) - 1,
};

/* What detection reads; replaced in tests by recorded answers. */
typedef struct md_cpu_probe {
    void (*cpuid)(uint32_t leaf, uint32_t sub, uint32_t out[4]); /* a b c d */
    uint64_t (*xgetbv)(void);
    int (*amx_request)(void); /* nonzero: granted */
} md_cpu_probe;

/* Flags according to `probe`, without any mask. */
uint32_t md_cpu_detect(const md_cpu_probe *probe);

/* Flags of this machine, less those hidden by the mask.  AMX permission is
 * asked for on the first call: make it before threads are started. */
uint32_t md_cpu_flags(void);

/* Hide every flag that is not in mask (MD_CPU_ALL shows all). */
void md_cpu_set_mask(uint32_t mask);

/*
 * Parse MODELD_CPU's form: "all", "none", or names separated by commas; a
 * name means that level and what it needs ("avx512vnni" includes avx512 and
 * avx2).  MD_INVALID names the unknown word and the known ones.
 */
md_status md_cpu_mask_parse(uint32_t *out, const char *text, md_error *err);

/* "avx2,avx512" into buf (always terminated); "none" when no flag is set. */
void md_cpu_format(char *buf, unsigned size, uint32_t flags);

/* Brand string of the CPU ("Intel(R) Xeon(R) ..."); never NULL. */
const char *md_cpu_name(void);

/* Logical CPUs that this process may use: affinity and cgroup quota, a part
 * of one counting as one. */
int md_cpu_count(void);

/* Whether a cgroup quota counts the time that this process takes. */
bool md_cpu_has_quota(void);

#endif

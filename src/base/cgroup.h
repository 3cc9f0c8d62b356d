/* The control group of this process: how much of the CPUs it is given. */
#ifndef MD_BASE_CGROUP_H
#define MD_BASE_CGROUP_H

/*
 * CPUs that this process may use at a time by quota, 1.5 say: the least of its
 * control group and those above; 0 when there is none.  `self` lists its
 * groups ("/proc/self/cgroup"), `mount` is where they are
 * ("/sys/fs/cgroup"): version 2 (cpu.max), or 1 (cpu/cpu.cfs_quota_us).  A
 * path that is not there, a container's as seen from outside, counts up to
 * where it is.
 */
double md_cgroup_cpus(const char *self, const char *mount);

#endif

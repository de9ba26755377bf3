/*
 * base/target_sizes.h - target.NAME.sizes: the CPU and memory of those tasks
 * that are to have others than target.NAME.cpu and target.NAME.memory.
 *
 *	worker=1024:2048, shop/web=512:1024
 *
 * CPU units and MiB of a process type, or of one app's process type, which
 * counts more.  Pure.
 */
#ifndef BASE_TARGET_SIZES_H
#define BASE_TARGET_SIZES_H

#include <stdint.h>

struct error;

#define TARGET_CPU_MIN	  128
#define TARGET_CPU_MAX	  196608 /* units */
#define TARGET_MEMORY_MIN 6
#define TARGET_MEMORY_MAX 1048576 /* MiB */

/* 0 or -ERR_INVALID: an item is malformed, or out of range; err names it. */
int target_sizes_check(const char *sizes, struct error *err)
	__attribute__((nonnull, warn_unused_result));

/* Set both to what `sizes` says of this process type; they stay without. */
void target_sizes_find(const char *sizes, const char *app, const char *type,
		       int64_t *cpu, int64_t *memory) __attribute__((nonnull));

#endif

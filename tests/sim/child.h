/* SPDX-License-Identifier: GPL-2.0-or-later */
/* child.h - the end of a forked run: no exit handlers, no buffers of the parent's. */
#ifndef HV_TESTS_SIM_CHILD_H
#define HV_TESTS_SIM_CHILD_H

#include <unistd.h>

#ifdef HV_COVERAGE
#include <gcov.h>
#endif

_Noreturn static inline void child_end(int status)
{
#ifdef HV_COVERAGE
	__gcov_dump(); /* what _exit() would lose */
#endif
	_exit(status);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/rc.h"

#include "proto/base.h"

static const struct rc_row {
	const char *name;
	const char *text;
	int status;
} rows[] = {
#define X(num, name, text, status) [num] = {#name, text, status},
    HV_RC_LIST(X)
#undef X
};

const char *hv_rc_name(unsigned rc)
{
	return rc < ARRAY_SIZE(rows) ? rows[rc].name : "UNKNOWN";
}

const char *hv_rc_text(unsigned rc)
{
	return rc < ARRAY_SIZE(rows) ? rows[rc].text : "an unknown result";
}

int hv_rc_exit_status(unsigned rc)
{
	return rc < ARRAY_SIZE(rows) ? rows[rc].status : 1;
}

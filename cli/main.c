/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"

#include "proto/ipc.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, HV_IPC_NAME, stdin, stdout, stderr);
}

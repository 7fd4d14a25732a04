/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what every command of the hvcluster program works with.
 *
 * A command is a row in commands.c and a function here that returns a result code, whose exit
 * status the program ends with. Results go to cli->out, all else (errors, notes, progress when
 * --json took the output) to cli->err. An error is said once, by cli_fail(), where it can be
 * explained:
 *
 *     hvcluster: CAUSE
 *       try: NEXT COMMAND
 */
#ifndef HV_CLI_CLI_H
#define HV_CLI_CLI_H

#include "cli/client.h"
#include "cli/options.h"
#include "proto/control.pb-c.h"

#define CLI_ARGS_MAX 8

struct cli;
struct json_t;

struct command {
	const char *group; /* "vm", or "" */
	const char *name;
	const char *words;   /* of the synopsis, without the options: "NODE DEVICE" */
	const char *summary; /* one line */
	const char *details; /* for help; may be NULL */
	unsigned min_args, max_args;
	option_set options; /* set of OPTION() */
	enum hv_rc (*run)(struct cli *cli);
};

struct cli {
	const char *service; /* HV_IPC_NAME, or a test's */
	const struct command *command;
	struct options options;
	const char *args[CLI_ARGS_MAX]; /* CLI_ARGS_MAX of them at most; those not given are NULL */
	size_t n_args;
	struct out out, err;
	FILE *in;
	struct client client;
	size_t object_width; /* of the events shown so far: the column does not shrink */
};

/* The program: reads the command line, runs the command, returns the exit status. Closes nothing it
 * was given. */
int cli_main(int argc, char **argv, const char *service, FILE *in, FILE *out, FILE *err);

/* Says why and what to do next (`hint` may be NULL or ""), also as {"error": ...} with --json.
 * Returns `rc`. */
enum hv_rc cli_fail(struct cli *cli, enum hv_rc rc, const char *hint, const char *fmt, ...)
    _printf_(4, 5);
/* A remark on the error stream. */
void cli_note(struct cli *cli, const char *fmt, ...) _printf_(2, 3);
/* Is this a name that the cluster could know? If not, says so: HV_BAD_INPUT. `what`: "node", "VM",
 * "device". */
enum hv_rc cli_check_name(struct cli *cli, const char *what, const char *name);
uint64_t cli_wall_ms(void);
uint64_t cli_monotonic_ms(void);
/* Where clusterd keeps its state on this node; HVCLUSTER_STATE_DIR says otherwise than this program
 * was built for. */
const char *cli_state_dir(void);

/* ---- ask.c: requests. Failures are said before they return. */
/* A question; the answer's body is the one of `expected` (enum Hv__ControlResponse__BodyCase). */
enum hv_rc cli_ask(struct cli *cli, Hv__ControlRequest *request, int expected,
		   Hv__ControlResponse **ret);
/*
 * A command, as the row of the table says: --wait waits for its operation, --json prints what came
 * of it. `subject` names the object ("vm web1"), `done` says it in the past ("started"), `look` is
 * the command that shows the object's state, for the hints. "will be started" and "not started"
 * follow from `done`, unless `accepted` and `failed` say it better.
 */
struct request_words {
	const char *subject, *done, *look;
	const char *accepted, *failed;
};
enum hv_rc cli_command(struct cli *cli, Hv__Command *command, const struct request_words *words);
/*
 * Waits for an operation that is known by id, showing its progress. Success is told here, too,
 * unless it is to be told as JSON: then that is up to the caller, from *ret (an OpInfo).
 */
enum hv_rc cli_wait_op(struct cli *cli, uint64_t op, const struct request_words *words,
		       Hv__ControlResponse **ret);

void response_freep(Hv__ControlResponse **response);
#define _cleanup_response_ _cleanup_(response_freep)

/* ---- json.c: a message as JSON, keys as in proto/control.proto */
struct json_t *json_of(const ProtobufCMessage *message);
/* Prints the object, with who answered and whether that may be old, and frees it. `lines`: on one
 * line. */
void json_show(struct cli *cli, const Hv__ControlResponse *response, struct json_t *object,
	       bool lines);
/* The same with one key of the object only. */
void json_show_part(struct cli *cli, const Hv__ControlResponse *response, struct json_t *object,
		    const char *key);

/* ---- tables that several commands show */
void show_vms(struct cli *cli, Hv__VmInfo *const *vms, size_t n, unsigned indent);
void show_nodes(struct cli *cli, Hv__NodeInfo *const *nodes, size_t n, unsigned indent);
void show_ops(struct cli *cli, Hv__OpInfo *const *ops, size_t n, unsigned indent);
void show_events(struct cli *cli, Hv__EventInfo *const *events, size_t n, unsigned indent);
void show_devices(struct cli *cli, Hv__FenceDeviceInfo *const *devices, size_t n, unsigned indent);
void show_rules(struct cli *cli, Hv__RuleInfo *const *rules, size_t n, unsigned indent);
/* "what follows may be old", if it may. */
void show_stale(struct cli *cli, const Hv__ControlResponse *response);
/* "drain of host2", "migration of web1 to host3" */
char *op_title(const Hv__OpInfo *op);

/* ---- the commands */
enum hv_rc cmd_status(struct cli *cli);
enum hv_rc cmd_node_list(struct cli *cli);
enum hv_rc cmd_node_show(struct cli *cli);
enum hv_rc cmd_node_drain(struct cli *cli);
enum hv_rc cmd_node_shutdown(struct cli *cli);
enum hv_rc cmd_node_reboot(struct cli *cli);
enum hv_rc cmd_fence_node(struct cli *cli);
enum hv_rc cmd_arm(struct cli *cli);
enum hv_rc cmd_disarm(struct cli *cli);
enum hv_rc cmd_node_resume(struct cli *cli);
enum hv_rc cmd_node_release(struct cli *cli);
enum hv_rc cmd_vm_add(struct cli *cli);
enum hv_rc cmd_vm_remove(struct cli *cli);
enum hv_rc cmd_vm_start(struct cli *cli);
enum hv_rc cmd_vm_stop(struct cli *cli);
enum hv_rc cmd_vm_migrate(struct cli *cli);
enum hv_rc cmd_vm_pause(struct cli *cli);
enum hv_rc cmd_vm_resume(struct cli *cli);
enum hv_rc cmd_vm_reset(struct cli *cli);
enum hv_rc cmd_vm_set(struct cli *cli);
enum hv_rc cmd_vm_lock(struct cli *cli);
enum hv_rc cmd_vm_unlock(struct cli *cli);
enum hv_rc cmd_vm_list(struct cli *cli);
enum hv_rc cmd_vm_show(struct cli *cli);
enum hv_rc cmd_vm_explain(struct cli *cli);
enum hv_rc cmd_rule_add(struct cli *cli);
enum hv_rc cmd_rule_remove(struct cli *cli);
enum hv_rc cmd_rule_list(struct cli *cli);
enum hv_rc cmd_fence_add(struct cli *cli);
enum hv_rc cmd_fence_level(struct cli *cli);
enum hv_rc cmd_fence_remove(struct cli *cli);
enum hv_rc cmd_fence_list(struct cli *cli);
enum hv_rc cmd_fence_test(struct cli *cli);
enum hv_rc cmd_fence_confirm(struct cli *cli);
enum hv_rc cmd_events(struct cli *cli);
enum hv_rc cmd_quorum(struct cli *cli);
enum hv_rc cmd_quorum_force(struct cli *cli);
enum hv_rc cmd_report_failover(struct cli *cli);
enum hv_rc cmd_op_list(struct cli *cli);
enum hv_rc cmd_op_show(struct cli *cli);
enum hv_rc cmd_op_cancel(struct cli *cli);
enum hv_rc cmd_set(struct cli *cli);
enum hv_rc cmd_settings(struct cli *cli);
enum hv_rc cmd_pki_init(struct cli *cli);
enum hv_rc cmd_pki_issue(struct cli *cli);
enum hv_rc cmd_pki_install(struct cli *cli);
enum hv_rc cmd_pki_show(struct cli *cli);
enum hv_rc cmd_replay(struct cli *cli);
enum hv_rc cmd_debug_bundle(struct cli *cli);
enum hv_rc cmd_help(struct cli *cli);

#endif

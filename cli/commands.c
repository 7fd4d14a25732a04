/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/commands.h"

#include "cli/format.h"

#include <string.h>

#define SHOWS (OPTION(JSON))
#define ACTS (OPTION(JSON) | OPTION(WAIT) | OPTION(TIMEOUT))

/* clang-format off */
/* In the order of the help: group, name, words, summary, details, least and most words, options, function. */
static const struct command commands[] = {
	{"", "status", "", "the cluster on one screen: who is there, what needs attention",
	 NULL, 0, 0, SHOWS, cmd_status},

	{"node", "list", "", "the nodes",
	 NULL, 0, 0, SHOWS, cmd_node_list},
	{"node", "show", "NODE", "one node: what it runs, how it is fenced, what happened to it",
	 NULL, 1, 1, SHOWS, cmd_node_show},
	{"node", "drain", "NODE", "move every VM off a node, by live migration, and keep it empty",
	 "The node stays a member of the cluster; it may be rebooted or repaired when the drain is\n"
	 "done. With --wait the command shows how far it is and what holds it.",
	 1, 1, ACTS, cmd_node_drain},
	{"node", "resume", "NODE", "let a drained node hold VMs again",
	 "VMs that left it for this go back, live, unless they were moved by hand meanwhile or the\n"
	 "setting maintenance_return is off. Takes an announced shutdown back, too.",
	 1, 1, ACTS, cmd_node_resume},
	{"node", "release", "NODE", "let a node out of quarantine: it may hold VMs again",
	 "A node that is fenced quarantine_fences times within an hour may be a member and gets no VMs until\n"
	 "it is released, or quarantine_s has passed. Find out first why it was fenced.",
	 1, 1, SHOWS, cmd_node_release},
	{"node", "shutdown", "NODE", "say that a host is about to be powered off, and wait until it may",
	 "Its VMs are shut down and started elsewhere, leave live, or wait for the host: see the setting\n"
	 "node_shutdown. The host is not fenced for going down. Without --execute, power it off yourself\n"
	 "when the command has ended.",
	 1, 1, OPTION(JSON) | OPTION(TIMEOUT) | OPTION(EXECUTE) | OPTION(CANCEL), cmd_node_shutdown},
	{"node", "reboot", "NODE", "say that a host is about to be rebooted, and wait until it may",
	 "As 'node shutdown'; with node_shutdown=conditional its VMs are shut down and wait for it, up to\n"
	 "frozen_timeout_s.",
	 1, 1, OPTION(JSON) | OPTION(TIMEOUT) | OPTION(EXECUTE) | OPTION(CANCEL), cmd_node_reboot},

	{"vm", "add", "FILE.xml", "hand a VM to the cluster, which keeps it running from now on",
	 "FILE.xml is a libvirt domain XML ('-': standard input). Its disks must lie on storage that\n"
	 "every node sees. The XML is kept by the cluster; libvirt knows the VM only while it runs.",
	 1, 1, ACTS | OPTION(NAME) | OPTION(PRIORITY) | OPTION(STOPPED) | OPTION(STOP_TIMEOUT), cmd_vm_add},
	{"vm", "remove", "VM", "take a stopped VM out of the cluster; its disks are left alone",
	 NULL, 1, 1, ACTS | OPTION(STOP_FIRST), cmd_vm_remove},
	{"vm", "start", "VM", "start a VM, and keep it running from now on",
	 NULL, 1, 1, ACTS | OPTION(ON), cmd_vm_start},
	{"vm", "stop", "VM", "shut a VM down, and keep it stopped from now on",
	 "The guest is asked to shut down; if it does not, it is switched off after a while.",
	 1, 1, OPTION(JSON) | OPTION(WAIT) | OPTION(FORCE) | OPTION(GRACE), cmd_vm_stop},
	{"vm", "migrate", "VM", "move a running VM to another node; the guest does not notice",
	 NULL, 1, 1, ACTS | OPTION(TO), cmd_vm_migrate},
	{"vm", "pause", "VM", "stop a VM's processors where they are",
	 NULL, 1, 1, ACTS, cmd_vm_pause},
	{"vm", "resume", "VM", "let a paused VM go on",
	 NULL, 1, 1, ACTS, cmd_vm_resume},
	{"vm", "reset", "VM", "press a VM's reset button; what was on its screen is kept first",
	 "The guest is not asked. Its resets within reset_window_s count from 0 again: so the cluster helps\n"
	 "one again that it had given up resetting.",
	 1, 1, ACTS, cmd_vm_reset},
	{"vm", "set", "VM KEY=VALUE...", "change attributes of a VM",
	 "failback=on|off         goes back to a node that its rules prefer\n"
	 "guest_panic=report|reset     a guest that panics is shown, or reset\n"
	 "guest_watchdog=report|reset  the same, when its watchdog device fires\n"
	 "heartbeat_s=N           is reset when its guest agent has not answered for N seconds, 0: never,\n"
	 "heartbeat_idle_s=N      and it did no disk or network I/O for so long,\n"
	 "heartbeat_uptime_s=N    and it has run for so long where it is\n"
	 "io_error=wait|resume    paused by an I/O error, it waits, or goes on when its storage works\n"
	 "live_migration=on|off   is moved live, or shut down and started elsewhere\n"
	 "managed=on|off          the cluster acts on it, or only watches it\n"
	 "max_relocate=N          other nodes that its start is tried on, 0 to 32, or unlimited\n"
	 "priority=N              higher is recovered first\n"
	 "reset_limit=N           resets of its guest within reset_window_s, then it is left as it is, 1 to 10\n"
	 "reset_window_s=N        60 to 86400\n"
	 "restart_limit=N         restarts on a node after it crashed soon after its start, before another\n"
	 "                        node is tried, 0 to 100\n"
	 "start_retries=N         further tries to start it on a node, 0 to 100\n"
	 "stop_timeout_s=N        how long the guest may take to shut down, 0: as the setting says\n\n"
	 "'hvcluster vm show' shows them.",
	 2, CLI_ARGS_MAX, SHOWS, cmd_vm_set},
	{"vm", "lock", "VM REASON", "keep a VM where and as it is, while a job outside of the cluster needs that",
	 "It is neither moved nor stopped until it is unlocked. The loss of its node ends the lock.",
	 2, 2, SHOWS, cmd_vm_lock},
	{"vm", "unlock", "VM", "let the cluster move and stop a VM again",
	 NULL, 1, 1, SHOWS, cmd_vm_unlock},
	{"vm", "list", "", "the VMs",
	 NULL, 0, 0, SHOWS | OPTION(NODE), cmd_vm_list},
	{"vm", "show", "VM", "one VM: its size, where it is, what happened to it",
	 NULL, 1, 1, SHOWS | OPTION(XML), cmd_vm_show},
	{"vm", "explain", "VM", "why a VM is where it is, and which other nodes could hold it",
	 NULL, 1, 1, SHOWS, cmd_vm_explain},

	{"rule", "add", "NAME KIND VM[,VM...] [NODE[=PRIORITY],...]",
	 "say where VMs may run, and with which others",
	 "A rule of that name is replaced. KIND is one of:\n"
	 "  nodes     only on these nodes; of those that are there, the highest priority wins\n"
	 "  ban       never on these nodes\n"
	 "  together  all on one node\n"
	 "  apart     never two on one node\n"
	 "  follow    VM runs where the other VM runs, and only while that runs\n"
	 "  after     VM runs only while the other VM runs, and starts after it\n"
	 "With --soft a rule is a wish; 'after' then orders starts and nothing else.\n\n"
	 "  hvcluster rule add home nodes db1,db2 host1=2,host2=1 --soft\n"
	 "  hvcluster rule add spread apart web1,web2,web3\n"
	 "  hvcluster rule add app-needs-db after app1 db1",
	 3, 4, SHOWS | OPTION(SOFT), cmd_rule_add},
	{"rule", "remove", "NAME", "forget a rule; what runs stays where it is",
	 NULL, 1, 1, SHOWS, cmd_rule_remove},
	{"rule", "list", "", "the rules, and the VMs that are where they should not be",
	 NULL, 0, 0, SHOWS | OPTION(VM), cmd_rule_list},

	{"fence", "add", "[NODE] DEVICE", "tell the cluster how to power a node off",
	 "AGENT is a fence agent (see 'ls /usr/sbin/fence_*' and its man page); its options are given\n"
	 "with -o. Passwords are read from a file or from standard input: what is on a command line,\n"
	 "everyone can see. All devices of a level are used, one after the other; the next level when one fails.\n\n"
	 "  hvcluster fence add host1 ipmi --agent fence_ipmilan -o ip=10.0.9.1 -o username=admin \\\n"
	 "      -o lanplus=1 --secret-file password=/root/bmc1\n"
	 "  hvcluster fence test host1\n\n"
	 "One device for several nodes, each on an outlet of its own: with --map, and without NODE.\n\n"
	 "  hvcluster fence add pdu --map host1=3,host2=4 --level 2 --agent fence_apc -o ip=10.0.9.9 \\\n"
	 "      --secret-file password=/root/pdu",
	 1, 2, OPTION(JSON) | OPTION(AGENT) | OPTION(LEVEL) | OPTION(AGENT_TIMEOUT) | OPTION(OPTION) |
		OPTION(SECRET_FILE) | OPTION(SECRET_STDIN) | OPTION(MAP) | OPTION(DELAY) | OPTION(DELAY_RANDOM) |
		OPTION(PROOF) | OPTION(REQUIRE) | OPTION(UNFENCE), cmd_fence_add},
	{"fence", "level", "NODE LEVEL", "whether a level of devices must see the node off, or may wait",
	 "Some devices do not see what they have done: fence_sbd writes poison and waits for msgwait, the\n"
	 "node's own watchdog (LEVEL watchdog) is waited for. With --require seen that is no proof at this\n"
	 "level: the next one is tried, and in the end 'hvcluster fence confirm'. Setting fence_proof: for all.\n\n"
	 "  hvcluster fence level host1 1 --require seen\n"
	 "  hvcluster fence level host1 watchdog --require any",
	 2, 2, SHOWS | OPTION(REQUIRE), cmd_fence_level},
	{"fence", "remove", "NODE DEVICE", "forget a fence device",
	 NULL, 2, 2, SHOWS, cmd_fence_remove},
	{"fence", "list", "[NODE]", "the fence devices, and the nodes that have none",
	 NULL, 0, 1, SHOWS, cmd_fence_list},
	{"fence", "test", "[NODE [DEVICE]]", "ask a fence device for the node's power state; nothing is switched off",
	 "Without DEVICE each one of the node's, with --all each one there is. Every test of a device is run by\n"
	 "the next host, so that in the end each host's way to it has been tried. The cluster does the same by\n"
	 "itself: setting fence_test_interval_s.",
	 0, 2, OPTION(JSON) | OPTION(TIMEOUT) | OPTION(ALL), cmd_fence_test},
	{"fence", "confirm", "NODE", "say that a lost node is off, when no device can prove it",
	 "The cluster then starts the node's VMs elsewhere at once. If the node is not off, they run\n"
	 "twice and destroy their disks. Look at the machine itself: its power LED, its cable.",
	 1, 1, OPTION(JSON) | OPTION(YES), cmd_fence_confirm},

	{"fence", "node", "NODE", "switch a node off now, whether it works or not",
	 "Its VMs are started elsewhere when it is proven off.",
	 1, 1, ACTS | OPTION(YES), cmd_fence_node},

	{"", "quorum", "", "the votes, how many more nodes may be lost, and what each loss would mean",
	 NULL, 0, 0, SHOWS, cmd_quorum},
	{"quorum", "force", "", "go on without a quorum, when the missing nodes are gone for good",
	 "For when most of the nodes are destroyed, or one of two that were both down. Run it on a node\n"
	 "that is left. It asks for the name of each node that is not seen: you say that it is off and\n"
	 "stays off. If one of them still runs, VMs run twice and destroy their disks. Refused while the\n"
	 "cluster works or a majority may still be there.",
	 0, 0, OPTION(JSON) | OPTION(YES) | OPTION(OFF), cmd_quorum_force},

	{"", "disarm", "", "hands off: nothing is fenced, started, stopped or moved until 'hvcluster arm'",
	 "For work on the network, the storage or the fence devices. What happens to VMs is watched. A node\n"
	 "that is lost meanwhile is fenced when the cluster is armed. With --ignore VMs may be started,\n"
	 "stopped and moved by hand; where they are then is taken over.",
	 0, 0, SHOWS | OPTION(IGNORE), cmd_disarm},
	{"", "arm", "", "let the cluster act again",
	 NULL, 0, 0, SHOWS, cmd_arm},

	{"", "events", "", "what happened, oldest first",
	 NULL, 0, 0, SHOWS | OPTION(FOLLOW) | OPTION(LINES), cmd_events},
	{"report", "failover", "[N]", "the phases of a failover with their times (preset: the latest)",
	 NULL, 0, 1, SHOWS, cmd_report_failover},

	{"op", "list", "", "the operations in progress",
	 NULL, 0, 0, SHOWS, cmd_op_list},
	{"op", "show", "ID", "one operation; with --wait until it has ended",
	 NULL, 1, 1, ACTS, cmd_op_show},
	{"op", "cancel", "ID", "give an operation up; what it has done so far stays",
	 NULL, 1, 1, SHOWS, cmd_op_cancel},

	{"", "set", "KEY VALUE", "change a setting of the cluster",
	 NULL, 2, 2, SHOWS, cmd_set},
	{"", "settings", "", "the settings, and what they mean",
	 NULL, 0, 0, SHOWS, cmd_settings},
	{"pki", "init", "[CLUSTER]", "make the cluster's CA, which signs what hosts know each other by",
	 "In /etc/hvcluster/pki (HVCLUSTER_PKI_DIR says otherwise): once, on one host or on none of them.\n"
	 "Whoever has ca-key.pem there can make itself a host of this cluster.",
	 0, 1, SHOWS, cmd_pki_init},
	{"pki", "issue", "HOST [NAME,...]", "make a host's certificate, new or again",
	 "HOST is the node's name; NAMEs are further host names and addresses that it is reached by. The\n"
	 "folder HOST beside the CA is then copied to that host by a safe way, and installed there.",
	 1, 2, SHOWS, cmd_pki_issue},
	{"pki", "install", "[FOLDER]", "put this host's certificate to where libvirt and QEMU look for it",
	 "FOLDER is what 'pki issue' made (preset: the one of this host beside the CA).",
	 0, 1, SHOWS, cmd_pki_install},
	{"pki", "show", "", "this host's certificates, and whether others would take them",
	 NULL, 0, 0, SHOWS, cmd_pki_show},
	{"", "replay", "[FILE]", "what the cluster decided, entry by entry, and why",
	 "FILE is a history that clusterd kept (DIR/history of its state directory, or one file of it),\n"
	 "or the one of a debug bundle. It runs through the same code that decided then, on any machine,\n"
	 "and ends with the digest of the state: equal to the recorded one, or this program decides\n"
	 "otherwise. Nothing is changed; a clusterd that runs is not disturbed. --json: a line a decision.",
	 0, 1, SHOWS | OPTION(LOCAL) | OPTION(UNTIL), cmd_replay},
	{"debug", "bundle", "[FILE]", "collect what a bug report needs, without secrets",
	 "FILE ends with .tar.zst or .tar.gz; without it, one is named after the host and the time. It holds\n"
	 "clusterd's history for 'hvcluster replay', its logs and blackbox, what it says of the cluster,\n"
	 "corosync's configuration without keys, and versions. Passwords are taken out of the history, and\n"
	 "then each is looked for in every file.",
	 0, 1, SHOWS, cmd_debug_bundle},
	{"", "help", "[COMMAND]", "explain a command",
	 NULL, 0, 2, 0, cmd_help},
};
/* clang-format on */

size_t command_count(void)
{
	return ARRAY_SIZE(commands);
}

const struct command *command_at(size_t i)
{
	hv_assert(i < ARRAY_SIZE(commands));
	return &commands[i];
}

const struct command *command_find(const char *const *words, size_t n, size_t *ret_used)
{
	const struct command *found = NULL;

	/* "quorum force" is more than "quorum" and a word. */
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];
		bool grouped = *c->group;

		if (n < 1U + grouped || (grouped && strcmp(c->group, words[0]) != 0) ||
		    strcmp(c->name, words[grouped]) != 0 || (found && !grouped))
			continue;
		*ret_used = 1U + grouped;
		found = c;
	}
	return found;
}

char *command_title(const struct command *command)
{
	return hv_xasprintf("%s%s%s", command->group, *command->group ? " " : "", command->name);
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (*commands[i].group && strcmp(commands[i].group, word) == 0)
			return true;
	}
	return false;
}

char *command_suggest(const char *const *words, size_t n)
{
	_cleanup_free_ char *given = n > 1 ? hv_xasprintf("%s %s", words[0], words[1]) : NULL;
	const struct command *closest = NULL;
	unsigned least = 4; /* edits: more is no longer a slip of the fingers */

	for (size_t i = 0; n && i < ARRAY_SIZE(commands); i++) {
		_cleanup_free_ char *title = command_title(&commands[i]);
		bool two = given && *commands[i].group;
		const char *typed = two ? given : words[0];
		const char *meant = two ? title : commands[i].name;
		unsigned d = format_distance(typed, meant);

		if (d < least && 2 * d <= strlen(meant)) {
			least = d;
			closest = &commands[i];
		}
	}
	return closest ? command_title(closest) : NULL;
}

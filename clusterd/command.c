/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clusterd/command.h"

#include "fence/fence_agent.h"
#include "hypervisor/domain_guest.h"
#include "hypervisor/domain_xml.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void replace(char **field, const char *value)
{
	if (*field && *field != protobuf_c_empty_string)
		free(*field);
	*field = hv_xstrdup(value);
}

/* RFC 4122, version 4. */
static void make_uuid(char *ret)
{
	uint8_t b[16];

	hv_assert(getrandom(b, sizeof(b), 0) == sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(ret, HV_UUID_LEN + 1,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

/* ---- vm add */

static enum hv_rc give_uuid(Hv__VmAdd *add, struct domain_info *info, char **ret_why)
{
	char *xml = NULL;
	size_t len;
	enum hv_rc rc;

	if (info->uuid[0])
		return HV_OK;
	make_uuid(info->uuid);
	rc = domain_xml_set_uuid(add->xml, strlen(add->xml), info->uuid, &xml, &len, ret_why);
	if (rc != HV_OK)
		return rc;
	free(add->xml);
	add->xml = xml;
	return HV_OK;
}

static enum hv_rc give_name(Hv__VmAdd *add, struct domain_info *info, char **ret_why)
{
	char *xml = NULL;
	size_t len;
	enum hv_rc rc;

	if (!add->name[0] || strcmp(add->name, info->name) == 0)
		return HV_OK;
	if (!hv_name_valid(add->name)) {
		*ret_why = hv_xasprintf("'%.80s' is not a name a VM can have: letters, digits, "
					"'.', '_' and '-', at most %d",
					add->name, HV_NAME_MAX);
		return HV_BAD_INPUT;
	}
	rc = domain_xml_set_name(add->xml, strlen(add->xml), add->name, &xml, &len, ret_why);
	if (rc != HV_OK)
		return rc;
	free(add->xml);
	add->xml = xml;
	snprintf(info->name, sizeof(info->name), "%s", add->name);
	return HV_OK;
}

/* Whatever the client said: it is what the XML says. */
static void give_storage(Hv__VmAdd *add, const struct domain_info *info)
{
	for (size_t i = 0; i < add->n_storage; i++)
		free(add->storage[i]);
	free(add->storage);
	add->storage = info->n_storage ? hv_xcalloc(info->n_storage, sizeof(char *)) : NULL;
	add->n_storage = info->n_storage;
	for (size_t i = 0; i < info->n_storage; i++)
		add->storage[i] = hv_xstrdup(info->storage[i]);
}

static enum hv_rc prepare_vm_add(Hv__VmAdd *add, struct command_plan *plan)
{
	struct domain_info info;
	enum hv_rc rc;

	plan->hint = "virt-xml-validate FILE shows more about an XML; 'hvcluster vm add --help' "
		     "about what is needed";
	rc = domain_xml_parse(add->xml, strlen(add->xml), &info, &plan->text);
	if (rc == HV_OK)
		rc = give_name(add, &info, &plan->text);
	if (rc == HV_OK)
		rc = give_uuid(add, &info, &plan->text);
	if (rc != HV_OK)
		return rc;
	replace(&add->name, info.name);
	replace(&add->uuid, info.uuid);
	add->mem_mib = info.mem_mib;
	add->vcpus = info.vcpus;
	give_storage(add, &info);
	plan->object = hv_xstrdup(info.name);
	plan->hint = NULL;
	return HV_OK;
}

/* ---- vm set */

/* The guest's health cannot be seen without its device: what the attribute needs in the XML. */
static const char *missing_device(const struct domain_info *info, const Hv__KeyValue *kv)
{
	static const struct {
		const char *key, *off;
		enum domain_guest_need need;
	} needs[] = {
	    {"heartbeat_s", "0", DOMAIN_NEEDS_AGENT},
	    {"guest_panic", "report", DOMAIN_NEEDS_PANIC},
	    {"guest_watchdog", "report", DOMAIN_NEEDS_WATCHDOG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (strcmp(kv->key, needs[i].key) == 0 && strcmp(kv->value, needs[i].off) != 0)
			return domain_guest_missing(info, needs[i].need);
	return NULL;
}

/* Which VM, and whether the attributes are any good, is the brain's to judge. */
static enum hv_rc prepare_vm_set(const struct cluster *c, const Hv__VmSet *set,
				 struct command_plan *plan)
{
	const struct vm *vm = cluster_vm_by_name(c, set->name);
	struct domain_info info;

	if (!vm || domain_xml_parse(vm->xml, vm->xml_len, &info, NULL) != HV_OK)
		return HV_OK;
	for (size_t i = 0; i < set->n_attributes; i++) {
		const char *missing = missing_device(&info, set->attributes[i]);

		if (!missing)
			continue;
		plan->text =
		    hv_xasprintf("%s of VM %s: %s", set->attributes[i]->key, vm->name, missing);
		plan->hint = "hvcluster vm show NAME --xml >FILE; add it there; then 'vm remove "
			     "NAME' and 'vm add FILE'";
		return HV_BAD_INPUT;
	}
	return HV_OK;
}

/* ---- fencing */

static bool is_secret(const char *key)
{
	static const char *const marks[] = {"passw",	 "passphrase", "secret", "token",
					    "community", "priv_key",   "hmac"};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		/* passwd_script names a file, it is no secret itself */
		if (strstr(key, marks[i]) && !strstr(key, "script"))
			return true;
	}
	return false;
}

/* Whatever a client took for an ordinary option: a password is kept with the secrets. */
static void set_secrets_apart(Hv__FenceAdd *add)
{
	size_t kept = 0;

	for (size_t i = 0; i < add->n_options; i++) {
		Hv__KeyValue *kv = add->options[i];

		if (!is_secret(kv->key)) {
			add->options[kept++] = kv;
			continue;
		}
		add->secrets = hv_xrealloc(add->secrets, add->n_secrets + 1, sizeof(*add->secrets));
		add->secrets[add->n_secrets++] = kv;
	}
	add->n_options = kept;
}

static enum hv_rc prepare_fence_add(Hv__FenceAdd *add, struct command_plan *plan)
{
	_cleanup_free_ char *path = fence_agent_find(add->agent);

	if (!path) {
		plan->text =
		    hv_xasprintf("there is no fence agent '%.64s' in /usr/sbin", add->agent);
		plan->hint = "apt-get install fence-agents; ls /usr/sbin/fence_*";
		return HV_NO_AGENT;
	}
	set_secrets_apart(add);
	return HV_OK;
}

/*
 * The entry that carries the administrator's word lifts the barrier of that node, so it must not be
 * written unless the brain will take the word.
 */
static void classify_confirm(const struct cluster *c, Hv__FenceConfirm *confirm,
			     struct command_plan *plan)
{
	const struct node *n = cluster_node_by_name(c, confirm->node);

	confirm->incarnation = n ? n->incarnation : 0;
	confirm->member = n && (n->state == NODE_ONLINE || n->state == NODE_JOINING ||
				n->state == NODE_MANAGER_DOWN);
	if (!n || !(n->state == NODE_LOST || n->state == NODE_FENCING || n->barrier))
		return;
	plan->type = RL_FENCE;
	plan->fenced = n->id;
}

/* A node that is lost may be fenced behind the barrier, too: the entry itself proves nothing. */
static void classify_fence(const struct cluster *c, const Hv__NodeFence *fence,
			   struct command_plan *plan)
{
	const struct node *n = cluster_node_by_name(c, fence->node);

	if (n && cluster_barrier(c) && (n->state == NODE_LOST || n->state == NODE_FENCING))
		plan->type = RL_FENCE;
}

enum hv_rc command_prepare(const struct cluster *c, Hv__Command *cmd, struct command_plan *ret)
{
	*ret = (struct command_plan){.type = RL_COMMAND};
	switch (cmd->body_case) {
	case HV__COMMAND__BODY_VM_ADD:
		return prepare_vm_add(cmd->vm_add, ret);
	case HV__COMMAND__BODY_VM_SET:
		return prepare_vm_set(c, cmd->vm_set, ret);
	case HV__COMMAND__BODY_FENCE_ADD:
		return prepare_fence_add(cmd->fence_add, ret);
	case HV__COMMAND__BODY_FENCE_CONFIRM:
		classify_confirm(c, cmd->fence_confirm, ret);
		return HV_OK;
	case HV__COMMAND__BODY_VM_REMOVE:
	case HV__COMMAND__BODY_VM_START:
	case HV__COMMAND__BODY_VM_STOP:
	case HV__COMMAND__BODY_VM_MIGRATE:
	case HV__COMMAND__BODY_VM_PAUSE:
	case HV__COMMAND__BODY_VM_RESUME:
	case HV__COMMAND__BODY_VM_RESET:
	case HV__COMMAND__BODY_NODE_DRAIN:
	case HV__COMMAND__BODY_NODE_RESUME:
	case HV__COMMAND__BODY_FENCE_REMOVE:
	case HV__COMMAND__BODY_FENCE_TEST:
	case HV__COMMAND__BODY_FENCE_LEVEL:
	case HV__COMMAND__BODY_OP_CANCEL:
	case HV__COMMAND__BODY_SETTING_SET:
	case HV__COMMAND__BODY_VM_LOCK:
	case HV__COMMAND__BODY_RULE_ADD:
	case HV__COMMAND__BODY_RULE_REMOVE:
	case HV__COMMAND__BODY_NODE_SHUTDOWN:
	case HV__COMMAND__BODY_NODE_RELEASE:
	case HV__COMMAND__BODY_ARM:
		return HV_OK;
	case HV__COMMAND__BODY_NODE_FENCE:
		classify_fence(c, cmd->node_fence, ret);
		return HV_OK;
	case HV__COMMAND__BODY_QUORUM_FORCE: /* no client says it: force.h */
	case HV__COMMAND__BODY__NOT_SET:
	case _HV__COMMAND__BODY__CASE_IS_INT_SIZE:
		break;
	}
	ret->text = hv_xstrdup("this command is not known to this version of clusterd");
	return HV_PROTOCOL;
}

void command_plan_done(struct command_plan *plan)
{
	free(plan->object);
	free(plan->text);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeds of fuzz_control and fuzz_hv_message. */
#include "proto/base.h"
#include "proto/control.pb-c.h"
#include "proto/hypervisor.pb-c.h"
#include "proto/wire.h"

#include "tests/fuzz/seeds.h"

static void save_request(const char *name, Hv__ControlRequest *r)
{
	uint8_t buf[4096];
	size_t len;

	r->version = 1;
	len = hv__control_request__pack(r, buf + WIRE_HEADER_LEN);
	wire_header_put(buf, buf + WIRE_HEADER_LEN, len);
	seed_save("control", name, buf, WIRE_HEADER_LEN + len);
}

#define REQUEST(CASE, field, Type, init, ...)                                                      \
	do {                                                                                       \
		Hv__ControlRequest r_ = HV__CONTROL_REQUEST__INIT;                                 \
		Hv__##Type body_ = init;                                                           \
		__VA_ARGS__;                                                                       \
		r_.body_case = HV__CONTROL_REQUEST__BODY_##CASE;                                   \
		r_.field = &body_;                                                                 \
		save_request(#field, &r_);                                                         \
	} while (0)

static void control_seeds(void)
{
	Hv__VmAdd add = HV__VM_ADD__INIT;

	REQUEST(STATUS, status, StatusRequest, HV__STATUS_REQUEST__INIT, (void)0);
	REQUEST(VM_LIST, vm_list, VmListRequest, HV__VM_LIST_REQUEST__INIT, body_.limit = 10);
	REQUEST(VM_SHOW, vm_show, VmShowRequest, HV__VM_SHOW_REQUEST__INIT, body_.name = "web",
		body_.explain = true, body_.xml = true);
	REQUEST(NODE_SHOW, node_show, NodeShowRequest, HV__NODE_SHOW_REQUEST__INIT,
		body_.name = "host1");
	REQUEST(OP, op, OpRequest, HV__OP_REQUEST__INIT, body_.id = 4096, body_.wait_ms = 5);
	REQUEST(EVENTS, events, EventsRequest, HV__EVENTS_REQUEST__INIT, body_.limit = 5,
		body_.tail = true);
	REQUEST(REPORT_FAILOVER, report_failover, ReportRequest, HV__REPORT_REQUEST__INIT, (void)0);
	REQUEST(FENCE_LIST, fence_list, FenceListRequest, HV__FENCE_LIST_REQUEST__INIT, (void)0);
	REQUEST(SETTINGS, settings, SettingsRequest, HV__SETTINGS_REQUEST__INIT, (void)0);
	add.name = "new";
	add.xml =
	    "<domain type='kvm'><name>new</name><memory>262144</memory><vcpu>1</vcpu></domain>";
	REQUEST(COMMAND, command, Command, HV__COMMAND__INIT,
		body_.body_case = HV__COMMAND__BODY_VM_ADD, body_.vm_add = &add);
}

/* ---- what hypervisord says */

static uint8_t row[4096];
static size_t row_len;

static void row_begin(bool online)
{
	row[0] = online;
	row_len = 1;
}

#define MESSAGE(CASE, field, what)                                                                 \
	do {                                                                                       \
		Hv__HvMessage m_ = HV__HV_MESSAGE__INIT;                                           \
		size_t n_;                                                                         \
		m_.body_case = HV__HV_MESSAGE__BODY_##CASE;                                        \
		m_.field = what;                                                                   \
		n_ = hv__hv_message__get_packed_size(&m_);                                         \
		row[row_len] = (uint8_t)n_;                                                        \
		row[row_len + 1] = (uint8_t)(n_ >> 8);                                             \
		hv__hv_message__pack(&m_, row + row_len + 2);                                      \
		row_len += 2 + n_;                                                                 \
	} while (0)

static void hv_message_seeds(void)
{
	Hv__DomainSeen web = HV__DOMAIN_SEEN__INIT, other = HV__DOMAIN_SEEN__INIT;
	Hv__DomainSeen *domains[] = {&web, &other};
	Hv__HvInventory inv = HV__HV_INVENTORY__INIT;
	Hv__HvHealth health = HV__HV_HEALTH__INIT;
	Hv__HvResult result = HV__HV_RESULT__INIT;

	web.uuid = "00000000-0000-4000-8000-000000000001";
	web.name = "web";
	web.observed = HV__OBSERVED__OBSERVED_RUNNING;
	other.uuid = "00000000-0000-4000-8000-000000000009";
	other.name = "not the cluster's";
	other.observed = HV__OBSERVED__OBSERVED_PAUSED;
	inv.complete = true;
	inv.domains = domains;
	inv.n_domains = 2;
	health.libvirt_ok = true;
	health.text = "fine";
	health.mem_mib = 8192;
	health.cpus = 4;
	row_begin(false);
	MESSAGE(INVENTORY, inventory, &inv);
	MESSAGE(HEALTH, health, &health);
	seed_save("hv_message", "joins", row, row_len);
	row_begin(true);
	MESSAGE(INVENTORY, inventory, &inv);
	MESSAGE(HEALTH, health, &health);
	web.observed = HV__OBSERVED__OBSERVED_ABSENT;
	web.cause = HV__CAUSE__CAUSE_CRASHED;
	MESSAGE(DOMAIN, domain, &web);
	result.observed = HV__OBSERVED__OBSERVED_PAUSED;
	MESSAGE(RESULT, result, &result);
	health.libvirt_ok = false;
	health.text = "libvirtd does not answer";
	MESSAGE(HEALTH, health, &health);
	MESSAGE(HEALTH, health, &health);
	seed_save("hv_message", "online", row, row_len);
}

void seeds_of_ipc(void)
{
	control_seeds();
	hv_message_seeds();
}

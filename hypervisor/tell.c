/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/tell.h"

#include <unistd.h>

#define PROTOCOL_VERSION 1

static void send_body(struct link *l, Hv__HvMessage *m, Hv__HvMessage__BodyCase which)
{
	m->body_case = which;
	link_send(l, m);
}

void tell_ready(struct link *l)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvReady ready = HV__HV_READY__INIT;

	ready.version = PROTOCOL_VERSION;
	ready.pid = (uint32_t)getpid();
	m.ready = &ready;
	send_body(l, &m, HV__HV_MESSAGE__BODY_READY);
}

void tell_pong(struct link *l, uint64_t seq)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvPong pong = HV__HV_PONG__INIT;

	pong.seq = seq;
	m.pong = &pong;
	send_body(l, &m, HV__HV_MESSAGE__BODY_PONG);
}

void tell_health(struct link *l, bool ok, const char *text, uint64_t mem_mib, uint32_t cpus,
		 const char *version)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvHealth health = HV__HV_HEALTH__INIT;

	health.libvirt_ok = ok;
	health.text = (char *)text;
	health.mem_mib = mem_mib;
	health.cpus = cpus;
	health.libvirt_version = (char *)version;
	m.health = &health;
	send_body(l, &m, HV__HV_MESSAGE__BODY_HEALTH);
}

static void fill(Hv__DomainSeen *seen, const struct fact *f)
{
	hv__domain_seen__init(seen);
	seen->uuid = (char *)f->uuid;
	seen->name = (char *)f->name;
	seen->observed = f->observed;
	seen->cause = f->cause;
}

void tell_fact(struct link *l, const struct fact *f)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__DomainSeen seen;

	fill(&seen, f);
	m.domain = &seen;
	send_body(l, &m, HV__HV_MESSAGE__BODY_DOMAIN);
}

void tell_inventory(struct link *l, const struct inventory *inv, const struct facts *fs)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvInventory full = HV__HV_INVENTORY__INIT;
	_cleanup_free_ Hv__DomainSeen *seen = NULL;
	_cleanup_free_ Hv__DomainSeen **list = NULL;
	size_t n = 0;

	while (inv->complete && facts_at(fs, n))
		n++;
	seen = hv_xcalloc(n, sizeof(*seen));
	list = hv_xcalloc(n, sizeof(*list));
	full.complete = inv->complete;
	full.text = (char *)inv->text;
	full.domains = list;
	for (size_t i = 0; i < n; i++) {
		if (facts_at(fs, i)->observed == HV__OBSERVED__OBSERVED_ABSENT)
			continue;
		fill(&seen[i], facts_at(fs, i));
		list[full.n_domains++] = &seen[i];
	}
	m.inventory = &full;
	send_body(l, &m, HV__HV_MESSAGE__BODY_INVENTORY);
}

void tell_storage(struct link *l, const struct storage *s)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvStorage body = HV__HV_STORAGE__INIT;
	Hv__StorageSeen seen[HV_MAX_STORAGE], *list[HV_MAX_STORAGE];
	struct storage_trouble bad;

	body.bad = list;
	while (body.n_bad < HV_MAX_STORAGE && storage_bad_at(s, body.n_bad, &bad)) {
		Hv__StorageSeen *one = &seen[body.n_bad];

		hv__storage_seen__init(one);
		one->path = (char *)bad.path;
		one->text = (char *)bad.text;
		one->hangs = bad.hangs;
		one->lasts = bad.lasts;
		list[body.n_bad++] = one;
	}
	m.storage = &body;
	send_body(l, &m, HV__HV_MESSAGE__BODY_STORAGE);
}

void tell_guest(struct link *l, const Hv__GuestSeen *seen)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;

	m.guest = (Hv__GuestSeen *)seen;
	send_body(l, &m, HV__HV_MESSAGE__BODY_GUEST);
}

void tell_setup(struct link *l, const struct setup_seen *s)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HostSetup body = HV__HOST_SETUP__INIT;

	body.hook = (char *)s->hook;
	body.certificate = (char *)s->certificate;
	body.disk_lock = (char *)s->disk_lock;
	body.disk_lock_text = (char *)s->disk_lock_text;
	m.setup = &body;
	send_body(l, &m, HV__HV_MESSAGE__BODY_SETUP);
}

void tell_result(struct link *l, const struct job *j, Hv__Observed observed, const char *text)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvResult r = HV__HV_RESULT__INIT;

	r.id = j->id;
	r.attempt = j->attempt;
	r.rc = j->rc;
	r.text = (char *)text;
	r.observed = observed;
	r.began_us = j->began_us;
	r.ended_us = j->ended_us;
	r.evidence = (char *)j->evidence;
	m.result = &r;
	send_body(l, &m, HV__HV_MESSAGE__BODY_RESULT);
}

void tell_progress(struct link *l, const struct job *j)
{
	Hv__HvMessage m = HV__HV_MESSAGE__INIT;
	Hv__HvProgress p = HV__HV_PROGRESS__INIT;

	p.id = j->id;
	p.permille = j->permille;
	p.text = (char *)j->progress;
	m.progress = &p;
	send_body(l, &m, HV__HV_MESSAGE__BODY_PROGRESS);
}

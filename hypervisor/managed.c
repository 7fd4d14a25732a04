/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/managed.h"

#include "hypervisor/permit.h"

#include <errno.h>
#include <string.h>

struct list {
	char **uuids;
	size_t count;
};

struct managed {
	struct pool_task task; /* first */
	struct pool *pool;
	char *state_dir;
	void (*failed)(const char *why);
	struct list writing, next;
	bool busy, again;
	int error; /* errno of the write, 0: done */
};

static void list_free(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->uuids[i]);
	free(l->uuids);
	*l = (struct list){0};
}

static void run(struct pool_task *task)
{
	struct managed *m = (struct managed *)task;

	m->error = 0;
	if (!permit_write_managed(m->state_dir, m->writing.uuids, m->writing.count))
		m->error = errno ? errno : EIO;
}

static void begin(struct managed *m)
{
	list_free(&m->writing);
	m->writing = m->next;
	m->next = (struct list){0};
	m->again = false;
	m->busy = true;
	pool_submit(m->pool, &m->task);
}

static void done(struct pool_task *task)
{
	struct managed *m = (struct managed *)task;

	m->busy = false;
	if (m->error)
		m->failed(strerror(m->error));
	if (m->again)
		begin(m);
}

struct managed *managed_new(struct pool *pool, const char *state_dir,
			    void (*failed)(const char *why))
{
	struct managed *m = hv_xcalloc(1, sizeof(*m));

	m->pool = pool;
	m->state_dir = hv_xstrdup(state_dir);
	m->failed = failed;
	m->task.run = run;
	m->task.done = done;
	return m;
}

void managed_set(struct managed *m, char *const *uuids, size_t n)
{
	list_free(&m->next);
	m->next.uuids = hv_xcalloc(n, sizeof(char *));
	for (size_t i = 0; i < n; i++)
		if (hv_uuid_valid(uuids[i]))
			m->next.uuids[m->next.count++] = hv_xstrdup(uuids[i]);
	m->again = true;
	if (!m->busy)
		begin(m);
}

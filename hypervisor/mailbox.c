/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/mailbox.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct letter {
	mailbox_fn fn;
	void *data;
	struct letter *next;
};

struct mailbox {
	qb_loop_t *loop;
	int fd;
	pthread_mutex_t lock;
	struct letter *first, **end;
};

static struct letter *take_all(struct mailbox *m)
{
	struct letter *all;

	pthread_mutex_lock(&m->lock);
	all = m->first;
	m->first = NULL;
	m->end = &m->first;
	pthread_mutex_unlock(&m->lock);
	return all;
}

static int32_t on_readable(int32_t fd, int32_t revents _unused_, void *data)
{
	struct mailbox *m = data;
	struct letter *next;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return 0;
	for (struct letter *l = take_all(m); l; l = next) {
		next = l->next;
		l->fn(l->data);
		free(l);
	}
	return 0;
}

struct mailbox *mailbox_new(qb_loop_t *loop)
{
	struct mailbox *m = hv_xcalloc(1, sizeof(*m));

	m->loop = loop;
	m->end = &m->first;
	pthread_mutex_init(&m->lock, NULL);
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0) {
		mailbox_free(m);
		return NULL;
	}
	qb_loop_poll_add(loop, QB_LOOP_MED, m->fd, POLLIN, m, on_readable);
	return m;
}

void mailbox_free(struct mailbox *m)
{
	struct letter *next;

	if (!m)
		return;
	for (struct letter *l = take_all(m); l; l = next) {
		next = l->next;
		free(l);
	}
	if (m->fd >= 0) {
		qb_loop_poll_del(m->loop, m->fd);
		close(m->fd);
	}
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void mailbox_post(struct mailbox *m, mailbox_fn fn, void *data)
{
	struct letter *l = hv_xcalloc(1, sizeof(*l));
	uint64_t one = 1;

	l->fn = fn;
	l->data = data;
	pthread_mutex_lock(&m->lock);
	*m->end = l;
	m->end = &l->next;
	pthread_mutex_unlock(&m->lock);
	/* The counter cannot overflow in practice; a failed write would only mean "already awake".
	 */
	if (write(m->fd, &one, sizeof(one)) < 0)
		return;
}

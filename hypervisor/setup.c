/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/setup.h"

#include "pki/pki.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOKS "/etc/libvirt/hooks/qemu"
#define QEMU_CONF "/etc/libvirt/qemu.conf"
#define LOCKD_CONF "/etc/libvirt/qemu-lockd.conf"
#define HOOK_NAME "qemu-hook"

#define SAY(where, ...) snprintf(where, sizeof(where), __VA_ARGS__)

/* ---- files */

static bool find_file(const char *root, const char *path, struct stat *ret)
{
	_cleanup_free_ char *full = hv_xasprintf("%s%s", root, path);

	return stat(full, ret) == 0;
}

/* When the daemon that reads qemu.conf and the hooks was started: its pid file is written then. */
static bool libvirtd_since(const char *root, time_t *ret)
{
	static const char *const files[] = {"/run/virtqemud.pid", "/run/libvirtd.pid"};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (!find_file(root, files[i], &st))
			continue;
		*ret = st.st_mtime;
		return true;
	}
	return false;
}

static bool newer_than_libvirtd(const char *root, const struct stat *st)
{
	time_t since;

	return libvirtd_since(root, &since) && st->st_ctime > since;
}

/* `key = "word"` of one of libvirt's files; the last one counts. False: not there. */
static bool conf_word(const char *root, const char *path, const char *key, char *ret, size_t size)
{
	_cleanup_free_ char *full = hv_xasprintf("%s%s", root, path);
	FILE *f = fopen(full, "re");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		char *p = line + strspn(line, " \t");
		size_t len = strlen(key);

		if (strncmp(p, key, len) != 0 || (p[len] != '=' && !isspace((unsigned char)p[len])))
			continue;
		p += len + strspn(p + len, " \t");
		if (*p != '=')
			continue;
		p += 1 + strspn(p + 1, " \t\"'");
		p[strcspn(p, "\"'\r\n \t#")] = '\0';
		snprintf(ret, size, "%s", p);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

/* Does anybody listen on it? Asked of the kernel's table: to connect would be logged over there. */
static bool listens(const struct setup_place *place, const char *path)
{
	FILE *f = fopen(place->sockets, "re");
	char line[512], of[256];
	unsigned flags;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %*s %x %*s %*s %*s %255s", &flags, of) == 2 &&
			flags & 0x10000 && strcmp(of, path) == 0;
	if (f)
		fclose(f);
	return found;
}

/* ---- the hook */

/* A link to our program, or a script that calls it. */
static bool is_ours(const char *path, struct stat *ret)
{
	char target[4096], head[4096];
	size_t n;
	FILE *f;

	if (access(path, X_OK) != 0 || lstat(path, ret) != 0)
		return false;
	if (realpath(path, target) && strrchr(target, '/') &&
	    strcmp(strrchr(target, '/') + 1, HOOK_NAME) == 0)
		return true;
	f = fopen(path, "re");
	n = f ? fread(head, 1, sizeof(head) - 1, f) : 0;
	if (f)
		fclose(f);
	head[n] = '\0';
	return n > 2 && memcmp(head, "#!", 2) == 0 && strstr(head, HOOK_NAME);
}

/* libvirt takes hooks/qemu, and whatever can be run in hooks/qemu.d. */
static bool find_hook(const char *root, struct stat *ret)
{
	_cleanup_free_ char *one = hv_xasprintf("%s" HOOKS, root),
			    *dir = hv_xasprintf("%s" HOOKS ".d", root);
	bool found = is_ours(one, ret);
	DIR *d = found ? NULL : opendir(dir);

	for (struct dirent *e = d ? readdir(d) : NULL; e && !found; e = readdir(d)) {
		_cleanup_free_ char *path = hv_xasprintf("%s/%s", dir, e->d_name);

		found = e->d_name[0] != '.' && is_ours(path, ret);
	}
	if (d)
		closedir(d);
	return found;
}

static void look_at_hook(const struct setup_place *place, struct setup_seen *s)
{
	struct stat st;

	if (!find_hook(place->root, &st))
		SAY(s->hook,
		    "libvirt's hook is not installed: nobody refuses a copy of a VM that is "
		    "started by "
		    "hand; ln -s %s " HOOKS ".d/hvcluster, then restart libvirtd",
		    place->hook);
	else if (newer_than_libvirtd(place->root, &st))
		SAY(s->hook,
		    "libvirtd was started before its hook was installed, and does not call "
		    "it: restart libvirtd");
}

/* ---- certificates */

static void look_at_certificates(const struct setup_place *place, struct setup_seen *s)
{
	_cleanup_free_ char *text = pki_fault(place->root, place->host, place->now_s);

	if (!text)
		text = pki_ends_soon(place->root, place->host, place->now_s);
	if (text)
		SAY(s->certificate, "%s", text);
}

/* ---- the lock manager */

static void look_at_lockd(const struct setup_place *place, struct setup_seen *s)
{
	char word[256];

	if (!listens(place, "/run/libvirt/virtlockd-sock") &&
	    !listens(place, "/var/run/libvirt/virtlockd-sock"))
		SAY(s->disk_lock_text, "virtlockd does not run: nothing can be started here, and "
				       "what runs is not locked; "
				       "systemctl enable --now virtlockd.socket");
	else if (!conf_word(place->root, LOCKD_CONF, "file_lockspace_dir", word, sizeof(word)))
		SAY(s->disk_lock_text,
		    "virtlockd's locks on block devices are this host's alone: set "
		    "file_lockspace_dir "
		    "in " LOCKD_CONF " to a folder on shared storage, then restart libvirtd");
}

static void look_at_sanlock(const struct setup_place *place, struct setup_seen *s)
{
	if (!listens(place, "/run/sanlock/sanlock.sock") &&
	    !listens(place, "/var/run/sanlock/sanlock.sock"))
		SAY(s->disk_lock_text, "sanlock does not run: nothing can be started here; "
				       "systemctl enable --now wdmd sanlock");
}

static void look_at_locks(const struct setup_place *place, struct setup_seen *s)
{
	struct stat st;
	bool there = find_file(place->root, QEMU_CONF, &st);

	if (!conf_word(place->root, QEMU_CONF, "lock_manager", s->disk_lock,
		       sizeof(s->disk_lock)) ||
	    strcmp(s->disk_lock, "nop") == 0)
		SAY(s->disk_lock, "none");
	if (there && newer_than_libvirtd(place->root, &st))
		SAY(s->disk_lock_text,
		    QEMU_CONF " was changed after libvirtd was started, so that its "
			      "lock_manager may not be in force: restart libvirtd");
	else if (strcmp(s->disk_lock, "lockd") == 0)
		look_at_lockd(place, s);
	else if (strcmp(s->disk_lock, "sanlock") == 0)
		look_at_sanlock(place, s);
}

void setup_look(const struct setup_place *place, struct setup_seen *ret)
{
	memset(ret, 0, sizeof(*ret));
	look_at_hook(place, ret);
	look_at_certificates(place, ret);
	look_at_locks(place, ret);
}

/* ---- again and again */

struct setup {
	struct pool_task task; /* first */
	qb_loop_t *loop;
	struct pool *pool;
	void (*changed)(const struct setup_seen *seen, void *user);
	void *user;
	struct setup_seen seen, told;
	bool ever;
};

static void look_run(struct pool_task *task)
{
	struct setup *s = (struct setup *)task;
	char self[4096], host[HV_NAME_MAX + 1] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - sizeof(HOOK_NAME));
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	snprintf(slash ? slash + 1 : self, sizeof(HOOK_NAME), "%s", HOOK_NAME);
	gethostname(host, HV_NAME_MAX);
	host[strcspn(host, ".")] = '\0';
	setup_look(&(struct setup_place){"", "/proc/net/unix", self, host, pki_now_s()}, &s->seen);
}

static void look_again(void *data)
{
	struct setup *s = data;

	pool_submit(s->pool, &s->task);
}

static void look_done(struct pool_task *task)
{
	struct setup *s = (struct setup *)task;
	qb_loop_timer_handle timer;

	if (!s->ever || memcmp(&s->seen, &s->told, sizeof(s->seen)) != 0) {
		s->told = s->seen;
		s->ever = true;
		s->changed(&s->told, s->user);
	}
	qb_loop_timer_add(s->loop, QB_LOOP_LOW, SETUP_EVERY_MS * 1000000ULL, s, look_again, &timer);
}

struct setup *setup_new(qb_loop_t *loop, struct pool *pool,
			void (*changed)(const struct setup_seen *seen, void *user), void *user)
{
	struct setup *s = hv_xcalloc(1, sizeof(*s));

	*s = (struct setup){.task = {.run = look_run, .done = look_done},
			    .loop = loop,
			    .pool = pool,
			    .changed = changed,
			    .user = user};
	look_again(s);
	return s;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fence/fence_agent.h"

#include "fence/agent_text.h"
#include "fence/fence_agent_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OUTPUT_MAX 16384
#define READ_AT_ONCE 65536 /* of a flood, per turn of the loop */
#define KILL_GRACE_US (1 * HV_US_PER_S)

/*
 *   BEGUN --- spawned --> RUNNING --- exits --------------------------> done, freed
 *     |                      | deadline, cancel: SIGKILL to the group
 *     | cannot be started    v
 *     |                   KILLED --- exits ---------------------------> done, freed
 *     |                      | still not gone after a second (a D state)
 *     v                      v
 *   done, freed            GONE: done was called; freed when the kernel lets go of it
 */
enum run_state { BEGUN, RUNNING, KILLED, GONE };

struct fence_agent_run {
	qb_loop_t *loop;
	fence_done_fn done;
	void *user;
	enum run_state state;
	struct fence_call *call;
	pid_t pid; /* also the process group */
	int pid_fd, out_fd;
	qb_loop_timer_handle timer;
	bool timer_set;
	enum hv_rc rc; /* BEGUN: why it cannot be started; KILLED: why it was killed */
	char *text;    /* with BEGUN */
	int exit_status;
	uint64_t began_us;
	char out[OUTPUT_MAX];
	size_t out_len;
	bool out_cut;
};

static const char *const standard_dirs[] = {"/usr/sbin", "/usr/local/sbin", NULL};
const char *const *fence_agent_dirs = standard_dirs;

static char *ipmitool;

bool fence_agent_ipmitool(const char *path)
{
	free(ipmitool);
	ipmitool = path && access(path, X_OK) == 0 ? hv_xstrdup(path) : NULL;
	return ipmitool != NULL;
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * HV_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

char *fence_agent_find(const char *name)
{
	struct stat st;

	if (!agent_name_valid(name))
		return NULL;
	for (const char *const *dir = fence_agent_dirs; *dir; dir++) {
		char *path = hv_xasprintf("%s/%s", *dir, name);

		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* ------------------------------------------------------------- the end of a run */

static void close_fd(struct fence_agent_run *run, int *fd)
{
	if (*fd < 0)
		return;
	qb_loop_poll_del(run->loop, *fd);
	close(*fd);
	*fd = -1;
}

static void run_free(struct fence_agent_run *run)
{
	if (run->timer_set)
		qb_loop_timer_del(run->loop, run->timer);
	close_fd(run, &run->out_fd);
	close_fd(run, &run->pid_fd);
	agent_call_free(run->call);
	free(run->text);
	explicit_bzero(run->out, sizeof(run->out));
	free(run);
}

static bool asks_status(const struct fence_agent_run *run)
{
	return strcmp(run->call->action, "status") == 0;
}

static void judge_exit(const struct fence_agent_run *run, struct fence_result *r)
{
	r->exit_status = run->exit_status;
	if (run->state != RUNNING) {
		r->rc = run->rc;
		return;
	}
	r->power_on = asks_status(run) && run->exit_status == 0;
	r->power_off = asks_status(run) && run->exit_status == 2;
	r->rc = run->exit_status == 0 || r->power_off ? HV_OK : HV_AGENT_FAILED;
}

static char *explain(struct fence_agent_run *run, const struct fence_result *r)
{
	_cleanup_free_ char *said = NULL, *how = NULL;
	size_t len = agent_blank(run->call, run->out, run->out_len, run->out_cut);

	if (run->text)
		return steal_ptr(run->text);
	said = agent_summary(run->out, len);
	if (r->rc == HV_OK)
		how = hv_xstrdup(r->power_off ? "off" : r->power_on ? "on" : "done");
	else if (r->rc == HV_TIMEOUT)
		how = hv_xasprintf("no answer within %u ms, killed%s", run->call->timeout_ms,
				   run->state == GONE ? " (it hangs in the kernel)" : "");
	else if (r->rc == HV_CANCELLED)
		how = hv_xstrdup("cancelled");
	else if (r->exit_status < 0)
		how = hv_xstrdup("died of a signal");
	else
		how = hv_xasprintf("failed with exit status %d", r->exit_status);
	return hv_xasprintf("%s %s: %s%s%s", run->call->agent, run->call->action, how,
			    *said ? ": " : "", said);
}

static void report(struct fence_agent_run *run)
{
	struct fence_result r = {.began_us = run->began_us, .ended_us = now_us()};
	_cleanup_free_ char *text = NULL;

	judge_exit(run, &r);
	text = explain(run, &r);
	r.text = text;
	run->done(run->user, &r);
}

static void read_output(struct fence_agent_run *run)
{
	char spill[4096];

	for (size_t total = 0; total < READ_AT_ONCE;) {
		size_t room = OUTPUT_MAX - run->out_len;
		ssize_t n = room ? read(run->out_fd, run->out + run->out_len, room)
				 : read(run->out_fd, spill, sizeof(spill));

		if (n <= 0) {
			if (n == 0 || (errno != EAGAIN && errno != EINTR))
				close_fd(run, &run->out_fd);
			break;
		}
		total += (size_t)n;
		if (room)
			run->out_len += (size_t)n;
		else
			run->out_cut = true;
	}
	explicit_bzero(spill, sizeof(spill));
}

static int32_t on_output(int32_t fd, int32_t revents, void *data)
{
	read_output(data);
	return 0;
}

static void kill_group(const struct fence_agent_run *run)
{
	kill(-run->pid, SIGKILL); /* not yet reaped: the group is surely still ours */
}

static int32_t on_exit_seen(int32_t fd, int32_t revents, void *data)
{
	struct fence_agent_run *run = data;
	siginfo_t info = {0};

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == EINTR)
		return 0;
	if (info.si_pid == 0)
		return 0;
	kill_group(run); /* what the agent left behind */
	waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG);
	run->exit_status = info.si_code == CLD_EXITED ? info.si_status : -1;
	if (run->out_fd >= 0)
		read_output(run);
	if (run->state != GONE)
		report(run);
	run_free(run);
	return 0;
}

static void on_still_there(void *data)
{
	struct fence_agent_run *run = data;

	run->timer_set = false;
	run->state = GONE;
	close_fd(run, &run->out_fd);
	report(run);
}

static void kill_run(struct fence_agent_run *run, enum hv_rc rc)
{
	if (run->timer_set)
		qb_loop_timer_del(run->loop, run->timer);
	run->state = KILLED;
	run->rc = rc;
	kill_group(run);
	run->timer_set = qb_loop_timer_add(run->loop, QB_LOOP_MED, KILL_GRACE_US * 1000, run,
					   on_still_there, &run->timer) == 0;
}

static void on_deadline(void *data)
{
	struct fence_agent_run *run = data;

	run->timer_set = false;
	kill_run(run, HV_TIMEOUT);
}

/* ------------------------------------------------------------- the start */

/*
 * A memory file, not a pipe: it takes all options at once, and an agent that does not read them
 * cannot hold us up or kill us by SIGPIPE.
 */
static int options_fd(const struct fence_call *call)
{
	char *text = agent_call_stdin(call, ipmitool);
	size_t len = strlen(text);
	int fd = memfd_create("fence-options", MFD_CLOEXEC);

	if (fd >= 0 && (write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	explicit_bzero(text, len);
	free(text);
	return fd;
}

static int spawn_attributes(posix_spawnattr_t *attr)
{
	sigset_t all, none;

	sigfillset(&all);
	sigemptyset(&none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setpgroup(attr, 0);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
						  POSIX_SPAWN_SETSIGMASK);
}

static int spawn(const char *path, int in_fd, int out_fd, pid_t *ret_pid)
{
	/* Agents are Python: its warnings would drown the one line that says what failed. */
	static char *const env[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:"
					    "/usr/bin:/sbin:/bin",
				    (char *)"LANG=C.UTF-8", (char *)"HOME=/",
				    (char *)"PYTHONWARNINGS=ignore", NULL};
	char *const argv[] = {(char *)path, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err;

	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&files);
	err = spawn_attributes(&attr);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&files, in_fd, 0);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&files, out_fd, 1);
	if (!err)
		err = posix_spawn_file_actions_adddup2(&files, out_fd, 2);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!err)
		err = posix_spawn_file_actions_addchdir_np(&files, "/");
	if (!err)
		err = posix_spawn(ret_pid, path, &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return err;
}

/* From here on the child is ours to end. */
static bool watch(struct fence_agent_run *run)
{
	static const struct rlimit no_core = {0, 0};

	run->state = RUNNING;
	prlimit(run->pid, RLIMIT_CORE, &no_core, NULL); /* its memory holds the secrets */
	run->pid_fd = pidfd_open(run->pid, 0);
	if (run->pid_fd < 0 ||
	    qb_loop_poll_add(run->loop, QB_LOOP_HIGH, run->pid_fd, POLLIN, run, on_exit_seen) < 0 ||
	    qb_loop_poll_add(run->loop, QB_LOOP_MED, run->out_fd, POLLIN, run, on_output) < 0)
		return false;
	run->timer_set =
	    qb_loop_timer_add(run->loop, QB_LOOP_HIGH, (uint64_t)run->call->timeout_ms * 1000000,
			      run, on_deadline, &run->timer) == 0;
	return run->timer_set;
}

static enum hv_rc refuse(struct fence_agent_run *run, enum hv_rc rc, char *text)
{
	run->rc = rc;
	run->text = text;
	return rc;
}

static enum hv_rc spawn_run(struct fence_agent_run *run, const char *path)
{
	int in_fd = options_fd(run->call), out[2] = {-1, -1}, err = 0;

	if (in_fd < 0 || pipe2(out, O_CLOEXEC) < 0 || fcntl(out[0], F_SETFL, O_NONBLOCK) < 0)
		err = errno;
	run->out_fd = out[0];
	if (!err)
		err = spawn(path, in_fd, out[1], &run->pid);
	if (in_fd >= 0)
		close(in_fd);
	if (out[1] >= 0)
		close(out[1]);
	if (err)
		return refuse(run, err == ENOENT || err == ENOEXEC ? HV_NO_AGENT : HV_FAILED,
			      hv_xasprintf("cannot run %s: %s", path, strerror(err)));
	if (!watch(run)) {
		kill_group(run);
		waitpid(run->pid, NULL, 0); /* just killed: this is short */
		run->state = BEGUN;
		return refuse(run, HV_FAILED, hv_xasprintf("cannot watch %s", path));
	}
	return HV_OK;
}

static enum hv_rc try_start(struct fence_agent_run *run)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;
	enum hv_rc rc = agent_call_check(run->call, &text);

	if (rc != HV_OK)
		return refuse(run, rc, text);
	path = fence_agent_find(run->call->agent);
	if (!path)
		return refuse(run, HV_NO_AGENT,
			      hv_xasprintf("there is no %s in %s: install the package fence-agents",
					   run->call->agent, fence_agent_dirs[0]));
	return spawn_run(run, path);
}

static void on_not_started(void *data)
{
	struct fence_agent_run *run = data;

	report(run);
	run_free(run);
}

struct fence_agent_run *fence_agent_start(qb_loop_t *loop, const struct fence_call *call,
					  fence_done_fn done, void *user)
{
	struct fence_agent_run *run = hv_xcalloc(1, sizeof(*run));

	run->loop = loop;
	run->done = done;
	run->user = user;
	run->call = agent_call_dup(call);
	run->pid_fd = run->out_fd = -1;
	run->exit_status = -1;
	run->began_us = now_us();
	if (try_start(run) != HV_OK) {
		/* A timer: libqb lets a lone job wait for 50 ms. */
		int32_t err =
		    qb_loop_timer_add(loop, QB_LOOP_HIGH, 1, run, on_not_started, &run->timer);

		hv_assert(err == 0);
	}
	return run;
}

void fence_agent_cancel(struct fence_agent_run *run)
{
	if (run->state == RUNNING) {
		kill_run(run, HV_CANCELLED);
	} else if (run->state == BEGUN) {
		free(run->text);
		run->text = NULL;
		run->rc = HV_CANCELLED;
	}
}

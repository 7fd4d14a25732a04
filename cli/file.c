/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/file.h"

#include "proto/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static void close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Reads to the end, or one byte more than `max`. */
static enum hv_rc read_all(int fd, const char *name, size_t max, char **ret_data, size_t *ret_len,
			   char **ret_why)
{
	_cleanup_free_ char *data = hv_xcalloc(1, max + 2);
	size_t len = 0;
	ssize_t n;

	while (len <= max && (n = read(fd, data + len, max + 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			*ret_why = hv_xasprintf("%s cannot be read: %s", name, strerror(errno));
			return HV_IO;
		}
		len += (size_t)n;
	}
	if (len > max) {
		explicit_bzero(data, len);
		*ret_why = hv_xasprintf("%s is larger than %zu bytes", name, max);
		return HV_TOO_LARGE;
	}
	data[len] = '\0';
	*ret_data = steal_ptr(data);
	*ret_len = len;
	return HV_OK;
}

/* O_NONBLOCK: opening a FIFO that nobody writes to must not hang. */
static int open_file(const char *path, struct stat *st, enum hv_rc *rc, char **ret_why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*rc = HV_IO;
	if (fd < 0 || fstat(fd, st) != 0) {
		*ret_why = hv_xasprintf("%s cannot be opened: %s", path, strerror(errno));
	} else if (S_ISDIR(st->st_mode)) {
		*ret_why = hv_xasprintf("%s is a directory, not a file", path);
		*rc = HV_BAD_INPUT;
	} else if (!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode)) {
		*ret_why = hv_xasprintf("%s is a device or a socket, not a file", path);
		*rc = HV_BAD_INPUT;
	} else {
		fcntl(fd, F_SETFL, 0); /* a pipe's writer may be slow */
		*rc = HV_OK;
		return fd;
	}
	close_fdp(&fd);
	return -1;
}

enum hv_rc file_read(const char *path, FILE *in, size_t max, char **ret_data, size_t *ret_len,
		     char **ret_why)
{
	_cleanup_(close_fdp) int fd = -1;
	struct stat st;
	enum hv_rc rc;

	if (strcmp(path, "-") == 0)
		return read_all(fileno(in), "standard input", max, ret_data, ret_len, ret_why);
	fd = open_file(path, &st, &rc, ret_why);
	if (fd < 0)
		return rc;
	return read_all(fd, path, max, ret_data, ret_len, ret_why);
}

/* ---------------------------------------------------------------- secrets */

void secret_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* Takes `data` over: it is the secret, or it is gone. */
static enum hv_rc make_secret(char *data, size_t len, const char *name, char **ret_secret,
			      char **ret_why)
{
	const char *wrong = NULL;

	if (len && data[len - 1] == '\n')
		data[--len] = '\0';
	if (len && data[len - 1] == '\r')
		data[--len] = '\0';
	if (len == 0)
		wrong = "is empty";
	else if (strlen(data) != len)
		wrong = "has zero bytes in it";
	else if (strpbrk(data, "\n\r"))
		wrong = "has more than one line in it";
	if (!wrong) {
		*ret_secret = data;
		return HV_OK;
	}
	explicit_bzero(data, len);
	free(data);
	*ret_why = hv_xasprintf("%s %s: a secret is one line of text", name, wrong);
	return HV_BAD_INPUT;
}

enum hv_rc secret_from_file(const char *path, char **ret_secret, char **ret_warning, char **ret_why)
{
	_cleanup_(close_fdp) int fd = -1;
	struct stat st;
	char *data;
	size_t len;
	enum hv_rc rc;

	*ret_warning = NULL;
	fd = open_file(path, &st, &rc, ret_why);
	if (fd < 0)
		return rc;
	rc = read_all(fd, path, HV_OPTION_MAX, &data, &len, ret_why);
	if (rc != HV_OK)
		return rc;
	rc = make_secret(data, len, path, ret_secret, ret_why);
	if (rc == HV_OK && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)))
		*ret_warning = hv_xasprintf("%s can be read by others: chmod 600 %s", path, path);
	return rc;
}

/* For the handler: an interrupt must not leave the terminal without echo. */
static int quiet_fd;
static struct termios loud;

static void on_signal(int number)
{
	tcsetattr(quiet_fd, TCSAFLUSH, &loud);
	_exit(128 + number);
}

static void silence(int fd)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct termios quiet;

	quiet_fd = fd;
	tcgetattr(fd, &loud);
	quiet = loud;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	tcsetattr(fd, TCSAFLUSH, &quiet);
}

static void speak_again(int fd)
{
	tcsetattr(fd, TCSAFLUSH, &loud);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

/* A line from the terminal. */
static enum hv_rc ask_terminal(int fd, FILE *err, const char *prompt, char **ret_data,
			       size_t *ret_len, char **ret_why)
{
	_cleanup_free_ char *line = hv_xcalloc(1, HV_OPTION_MAX + 2);
	ssize_t n;

	fprintf(err, "%s", prompt);
	fflush(err);
	silence(fd);
	n = read(fd, line, HV_OPTION_MAX + 1);
	speak_again(fd);
	fputc('\n', err);
	if (n < 0) {
		*ret_why = hv_xasprintf("the terminal cannot be read: %s", strerror(errno));
		return HV_IO;
	}
	*ret_len = (size_t)n;
	*ret_data = steal_ptr(line);
	return HV_OK;
}

enum hv_rc secret_from_stream(FILE *in, FILE *err, const char *prompt, char **ret_secret,
			      char **ret_why)
{
	char *data;
	size_t len;
	enum hv_rc rc;

	if (isatty(fileno(in)))
		rc = ask_terminal(fileno(in), err, prompt, &data, &len, ret_why);
	else
		rc = read_all(fileno(in), "standard input", HV_OPTION_MAX, &data, &len, ret_why);
	return rc == HV_OK ? make_secret(data, len, "the secret", ret_secret, ret_why) : rc;
}

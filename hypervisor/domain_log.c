/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hypervisor/domain_log.h"

#include "proto/ids.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STARTS "starting up"
#define ENDS "shutting down, reason="
#define LEFT "migrated"

/* "2026-01-01 10:00:00.000+0000: " is in front of what libvirt writes: 0 or its length. */
static size_t time_len(const char *line, size_t len)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd.ddd+dddd: ";

	if (len < sizeof(form) - 1)
		return 0;
	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		bool digit = isdigit((unsigned char)line[i]) != 0;

		if (form[i] == 'd' ? !digit : form[i] != line[i])
			return 0;
	}
	return sizeof(form) - 1;
}

static bool begins(const char *s, size_t len, const char *word)
{
	return len >= strlen(word) && memcmp(s, word, strlen(word)) == 0;
}

bool domain_log_says_left(const char *text, size_t len)
{
	bool left = false;

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len, at = time_len(text, line);

		if (at && begins(text + at, line - at, STARTS))
			left = false;
		else if (at && begins(text + at, line - at, ENDS))
			left = line - at == strlen(ENDS LEFT) &&
			       memcmp(text + at, ENDS LEFT, line - at) == 0;
		line += end != NULL;
		text += line;
		len -= line;
	}
	return left;
}

bool domain_log_left(const char *name)
{
	_cleanup_free_ char *path = hv_xasprintf(DOMAIN_LOG_DIR "/%s.log", name);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n = 0;
	int fd;

	if (!hv_name_valid(name))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	text = hv_xcalloc(1, DOMAIN_LOG_TAIL);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = pread(fd, text, DOMAIN_LOG_TAIL,
			  st.st_size > DOMAIN_LOG_TAIL ? st.st_size - DOMAIN_LOG_TAIL : 0);
	close(fd);
	return n > 0 && domain_log_says_left(text, (size_t)n);
}

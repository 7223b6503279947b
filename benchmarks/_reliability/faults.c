/* A disk that fails: preloaded, it makes calls that write below ODITS_FAULT_UNDER fail.

   ODITS_FAULT_ERROR  EIO, ENOSPC or EROFS, as a number; which calls can fail of it, `can_fail` says
   ODITS_FAULT_AFTER  so many of these calls succeed before
   ODITS_FAULT_ONCE   only one call fails, where this is set; all that follow otherwise
   ODITS_FAULT_COUNT  a file that gets a byte for each call that can fail */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITES, SYNCS, CREATES, CHANGES, OPENS };

static int calls;

static int can_fail(enum kind kind, int error) {
    switch (error) {
    case ENOSPC: return kind == WRITES || kind == CREATES;
    case EROFS: return kind == CREATES || kind == CHANGES || kind == OPENS;
    default: return kind == WRITES || kind == SYNCS || kind == CHANGES;
    }
}

static int below(const char *path) {
    const char *root = getenv("ODITS_FAULT_UNDER");
    return root && *root && path && strncmp(path, root, strlen(root)) == 0;
}

static int fails(enum kind kind, const char *path) {
    const char *error = getenv("ODITS_FAULT_ERROR"), *after = getenv("ODITS_FAULT_AFTER");
    const char *count = getenv("ODITS_FAULT_COUNT");
    int number;
    if (!error || !below(path) || !can_fail(kind, atoi(error))) return 0;
    number = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    if (count) {
        int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
        ssize_t (*real_write)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
        int saved = errno, fd = real_open(count, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd >= 0) { (void)!real_write(fd, ".", 1); close(fd); }
        errno = saved;
    }
    if (!after || number < atoi(after) || (getenv("ODITS_FAULT_ONCE") && number > atoi(after))) return 0;
    errno = atoi(error);
    return 1;
}

static int fails_open_file(enum kind kind, int fd) {
    char link[64], path[PATH_MAX + 1];
    int saved = errno;
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(kind, path);
}

static int fails_to_open(const char *path, int flags) {
    char full[PATH_MAX + 1];
    if (!(flags & (O_WRONLY | O_RDWR | O_CREAT))) return 0;
    if (path && path[0] != '/' && getcwd(full, sizeof full)) {
        strncat(full, "/", PATH_MAX - strlen(full));
        strncat(full, path, PATH_MAX - strlen(full));
        path = full;
    }
    return fails((flags & O_CREAT) && access(path, F_OK) ? CREATES : OPENS, path);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define MODE va_list rest; mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE REAL(open); return fails_to_open(path, flags) ? -1 : real(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE REAL(open64); return fails_to_open(path, flags) ? -1 : real(path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE REAL(openat); return fails_to_open(path, flags) ? -1 : real(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE REAL(openat64); return fails_to_open(path, flags) ? -1 : real(at, path, flags, mode); }
ssize_t write(int fd, const void *data, size_t size) { REAL(write); return fails_open_file(WRITES, fd) ? -1 : real(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { REAL(pwrite); return fails_open_file(WRITES, fd) ? -1 : real(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { REAL(pwrite64); return fails_open_file(WRITES, fd) ? -1 : real(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { REAL(writev); return fails_open_file(WRITES, fd) ? -1 : real(fd, parts, count); }
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    static ssize_t (*real)(int, int, off64_t *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "sendfile64");
    return fails_open_file(WRITES, out) ? -1 : real(out, in, at, size);
}
int ftruncate(int fd, off_t size) { REAL(ftruncate); return fails_open_file(CHANGES, fd) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return fails_open_file(CHANGES, fd) ? -1 : real(fd, size); }
int fallocate(int fd, int mode, off_t at, off_t size) { REAL(fallocate); return fails_open_file(WRITES, fd) ? -1 : real(fd, mode, at, size); }
int fallocate64(int fd, int mode, off64_t at, off64_t size) { REAL(fallocate64); return fails_open_file(WRITES, fd) ? -1 : real(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { REAL(posix_fallocate); return fails_open_file(WRITES, fd) ? errno : real(fd, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size) { REAL(posix_fallocate64); return fails_open_file(WRITES, fd) ? errno : real(fd, at, size); }
int fsync(int fd) { REAL(fsync); return fails_open_file(SYNCS, fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return fails_open_file(SYNCS, fd) ? -1 : real(fd); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); return fails(CREATES, path) ? -1 : real(path, mode); }
int rename(const char *from, const char *to) { REAL(rename); return fails(CHANGES, to) ? -1 : real(from, to); }
int link(const char *from, const char *to) { REAL(link); return fails(CREATES, to) ? -1 : real(from, to); }
int unlink(const char *path) { REAL(unlink); return fails(CHANGES, path) ? -1 : real(path); }

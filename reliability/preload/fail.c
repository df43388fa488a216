/* Lets one call of one kind fail, of those that the program makes of the files below one folder.
 *
 * POSTHASTE_FAIL_FOLDER  the folder, absolute
 * POSTHASTE_FAIL_FILE    only the file of this name, if it is set
 * POSTHASTE_FAIL_KIND    sync, write, truncate, open or rename
 * POSTHASTE_FAIL_AT      which call of that kind fails, from 1; 0 for none
 * POSTHASTE_FAIL_ERRNO   what it fails with; 0 lets a write write only half
 * POSTHASTE_FAIL_ON      1: all calls of that kind from then on
 * POSTHASTE_FAIL_REPORT  a file of 4,096 bytes that says what happened, see below
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct report {
    _Atomic uint64_t calls;       /* of that kind, of those files */
    _Atomic uint64_t failures;    /* how many were made to fail */
    _Atomic uint64_t failed_ns;   /* when the first of them was, by the monotonic clock */
    _Atomic uint64_t syncs_after; /* how many syncs of the same file began after that */
    char path[PATH_MAX];          /* of which file it was */
};

_Static_assert(sizeof(struct report) <= 2 * PATH_MAX, "the report fits into its file");

static struct report *report;
static struct report nowhere;
static char folder[PATH_MAX];
static const char *file, *kind;
static uint64_t fails_at;
static int fails_with, goes_on;

static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static ssize_t (*real_write)(int, const void *, size_t), (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_open)(const char *, int, ...), (*real_openat)(int, const char *, int, ...);
static int (*real_rename)(const char *, const char *);

static uint64_t number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_open = dlsym(RTLD_NEXT, "open64");
    real_openat = dlsym(RTLD_NEXT, "openat64");
    real_rename = dlsym(RTLD_NEXT, "rename");
    report = &nowhere;
    const char *wanted = getenv("POSTHASTE_FAIL_FOLDER"), *path = getenv("POSTHASTE_FAIL_REPORT");
    if (!wanted || !path) return;
    snprintf(folder, sizeof folder, "%s/", wanted);
    file = getenv("POSTHASTE_FAIL_FILE");
    kind = getenv("POSTHASTE_FAIL_KIND");
    fails_at = number("POSTHASTE_FAIL_AT");
    fails_with = (int)number("POSTHASTE_FAIL_ERRNO");
    goes_on = (int)number("POSTHASTE_FAIL_ON");
    int descriptor = real_open(path, O_RDWR | O_CLOEXEC);
    void *map = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (map != MAP_FAILED) report = map;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Is it one of the files that this is about? */
static int concerns(const char *path) {
    if (!folder[0] || strncmp(path, folder, strlen(folder)) != 0) return 0;
    return !file || strcmp(path + strlen(folder), file) == 0;
}

static int path_of(int descriptor, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* Notes a call, and answers whether it fails. */
static int fails_path(const char *its_kind, const char *path) {
    if (!kind || strcmp(kind, its_kind) != 0 || !concerns(path)) return 0;
    uint64_t call = atomic_fetch_add(&report->calls, 1) + 1;
    if (!fails_at || !(call == fails_at || (goes_on && call > fails_at))) return 0;
    if (atomic_fetch_add(&report->failures, 1) == 0) {
        snprintf(report->path, sizeof report->path, "%s", path);
        atomic_store(&report->failed_ns, now_ns());
    }
    return 1;
}

static int fails(const char *its_kind, int descriptor) {
    int before = errno, failing = 0;
    char path[PATH_MAX];
    if (folder[0] && path_of(descriptor, path)) {
        int is_sync = strcmp(its_kind, "sync") == 0;
        if (is_sync && atomic_load(&report->failed_ns) && strcmp(path, report->path) == 0)
            atomic_fetch_add(&report->syncs_after, 1);
        failing = fails_path(its_kind, path);
    }
    errno = failing ? fails_with : before;
    return failing;
}

int fsync(int descriptor) { return fails("sync", descriptor) ? -1 : real_fsync(descriptor); }

int fdatasync(int descriptor) { return fails("sync", descriptor) ? -1 : real_fdatasync(descriptor); }

int ftruncate64(int descriptor, off_t length) {
    return fails("truncate", descriptor) ? -1 : real_ftruncate(descriptor, length);
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

ssize_t write(int descriptor, const void *bytes, size_t count) {
    if (!fails("write", descriptor)) return real_write(descriptor, bytes, count);
    return fails_with || count < 2 ? (errno = fails_with ? fails_with : EINTR, -1)
                                   : real_write(descriptor, bytes, count / 2);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t at) {
    if (!fails("write", descriptor)) return real_pwrite(descriptor, bytes, count, at);
    return fails_with || count < 2 ? (errno = fails_with ? fails_with : EINTR, -1)
                                   : real_pwrite(descriptor, bytes, count / 2, at);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t at) {
    return pwrite64(descriptor, bytes, count, at);
}

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    return fails("write", descriptor) && fails_with ? -1 : real_writev(descriptor, pieces, count);
}

static int open_fails(int at, const char *path) {
    char whole[PATH_MAX] = "";
    if (!folder[0] || !kind || strcmp(kind, "open") != 0) return 0;
    if (path[0] != '/') {
        if (at == AT_FDCWD ? !getcwd(whole, sizeof whole) : !path_of(at, whole)) return 0;
        strncat(whole, "/", sizeof whole - strlen(whole) - 1);
    }
    strncat(whole, path, sizeof whole - strlen(whole) - 1);
    int before = errno, failing = fails_path("open", whole);
    errno = failing ? fails_with : before;
    return failing;
}

#define MODE(flags)                                  \
    mode_t mode = 0;                                 \
    if ((flags) & (O_CREAT | O_TMPFILE)) {           \
        va_list rest;                                \
        va_start(rest, flags);                       \
        mode = va_arg(rest, mode_t);                 \
        va_end(rest);                                \
    }

int open64(const char *path, int flags, ...) {
    MODE(flags)
    return open_fails(AT_FDCWD, path) ? -1 : real_open(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    MODE(flags)
    return open_fails(AT_FDCWD, path) ? -1 : real_open(path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
    MODE(flags)
    return open_fails(at, path) ? -1 : real_openat(at, path, flags, mode);
}

int rename(const char *from, const char *to) {
    char whole[PATH_MAX] = "";
    if (to[0] != '/' && getcwd(whole, sizeof whole)) strncat(whole, "/", sizeof whole - strlen(whole) - 1);
    strncat(whole, to, sizeof whole - strlen(whole) - 1);
    int before = errno, failing = fails_path("rename", whole);
    errno = failing ? fails_with : before;
    return failing ? -1 : real_rename(from, to);
}

/*
 * Writes down what a program asks of its disk, in exact order with the answers it gives.
 *
 * One file for each process (POSTHASTE_RECORD), of records that begin with `struct head`. What changes a file or a
 * folder below POSTHASTE_RECORD_BELOW is done and written down under one lock, so the order of the records is the order
 * of the changes. A sync is two records, before and after: it holds for what stands before the first. An answer (what is
 * sent on a socket and begins with `HTTP/1.1 2`) is written down before it is sent, so nobody has got an answer that is
 * not in the record.
 *
 * With POSTHASTE_RECORD_DIE_AT_SYNC=N the process is killed when it asks for its N-th sync of a file, before that sync.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
    OPENED = 1, WRITTEN, CUT, GROWN, RENAMED, UNLINKED, FOLDER_MADE, SYNC_BEGUN, SYNC_ENDED, ANSWER, ANSWER_FAILED,
    UNKNOWN,
};

struct head {
    uint32_t kind;
    uint32_t size; /* bytes that follow */
    uint64_t inode;
    uint64_t a, b; /* by kind */
};

/* Bits of `b` in OPENED. */
enum { WAS_MADE = 1, WAS_EMPTIED = 2, IS_FOLDER = 4 };

#define ANSWER_BYTES_MAX 2048
static const char ANSWER_BEGINS[] = "HTTP/1.1 2";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static uint64_t records;
static uint64_t syncs_to_live;
static char below[PATH_MAX];

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("POSTHASTE_RECORD"), *folder = getenv("POSTHASTE_RECORD_BELOW");
    const char *die = getenv("POSTHASTE_RECORD_DIE_AT_SYNC");
    if (!file || !folder || strlen(folder) >= sizeof below) return;
    strcpy(below, folder);
    if (die) syncs_to_live = strtoull(die, NULL, 10);
    trace = (int)syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

/* Answers the record's number. A record that cannot be written makes the whole trace worthless. */
static uint64_t put(enum kind kind, uint64_t inode, uint64_t a, uint64_t b, const struct iovec *parts, int count) {
    struct iovec all[3] = {{0}};
    struct head head = {.kind = kind, .inode = inode, .a = a, .b = b};
    all[0] = (struct iovec){&head, sizeof head};
    for (int i = 0; i < count && i < 2; i++) {
        all[i + 1] = parts[i];
        head.size += parts[i].iov_len;
    }
    long wanted = (long)sizeof head + head.size;
    if (syscall(SYS_writev, trace, all, 1 + (count < 2 ? count : 2)) != wanted) abort();
    return records++;
}

static void put_bytes(enum kind kind, uint64_t inode, uint64_t a, uint64_t b, const void *bytes, size_t size) {
    struct iovec part = {(void *)bytes, size};
    put(kind, inode, a, b, &part, 1);
}

/* The whole path; 0 if it is not below the folder that is written down. */
static int find(const char *path, char *whole) {
    if (trace < 0 || !path) return 0;
    size_t used = 0;
    if (path[0] != '/') {
        if (syscall(SYS_getcwd, whole, PATH_MAX) < 0) return 0;
        used = strlen(whole);
        whole[used++] = '/';
    }
    if (used + strlen(path) >= PATH_MAX) return 0;
    strcpy(whole + used, path);
    return strncmp(whole, below, strlen(below)) == 0;
}

static int is_there(const char *path) {
    struct stat found;
    return lstat(path, &found) == 0;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if (!(folder == AT_FDCWD || (path && path[0] == '/')) || !find(path, whole))
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int was_there = is_there(whole);
    int file = (int)syscall(SYS_openat, folder, path, flags, mode), error = errno;
    struct stat now;
    if (file >= 0 && fstat(file, &now) == 0) {
        uint64_t marks = (was_there ? 0 : WAS_MADE) | (flags & O_TRUNC ? WAS_EMPTIED : 0);
        marks |= S_ISDIR(now.st_mode) ? IS_FOLDER : 0;
        put_bytes(OPENED, now.st_ino, 0, marks, whole, strlen(whole));
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return file;
}

#define OPEN_MODE                                   \
    mode_t mode = 0;                                \
    if (flags & (O_CREAT | O_TMPFILE)) {            \
        va_list more;                               \
        va_start(more, flags);                      \
        mode = va_arg(more, mode_t);                \
        va_end(more);                               \
    }

int open(const char *path, int flags, ...) { OPEN_MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPEN_MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { OPEN_MODE return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { OPEN_MODE return opened(folder, path, flags, mode); }

/* ---------------------------------------------------------------- answers */

static ssize_t sent(ssize_t done, uint64_t answer) {
    int error = errno;
    if (done < 0) {
        pthread_mutex_lock(&lock);
        put(ANSWER_FAILED, 0, answer, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return done;
}

/* Does it begin as an answer does? Then it is written down, and 1 answered. */
static int is_answer(const struct iovec *parts, int count, uint64_t *answer) {
    size_t begins = sizeof ANSWER_BEGINS - 1;
    if (trace < 0 || count < 1 || parts[0].iov_len < begins) return 0;
    if (memcmp(parts[0].iov_base, ANSWER_BEGINS, begins) != 0) return 0;
    struct iovec shown = parts[0];
    if (shown.iov_len > ANSWER_BYTES_MAX) shown.iov_len = ANSWER_BYTES_MAX;
    pthread_mutex_lock(&lock);
    *answer = put(ANSWER, 0, 0, 0, &shown, 1);
    pthread_mutex_unlock(&lock);
    return 1;
}

ssize_t sendto(int socket, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    struct iovec part = {(void *)bytes, size};
    uint64_t answer;
    int is = is_answer(&part, 1, &answer);
    ssize_t done = syscall(SYS_sendto, socket, bytes, size, flags, to, length);
    return is ? sent(done, answer) : done;
}

ssize_t send(int socket, const void *bytes, size_t size, int flags) {
    return sendto(socket, bytes, size, flags, NULL, 0);
}

ssize_t sendmsg(int socket, const struct msghdr *message, int flags) {
    uint64_t answer;
    int is = is_answer(message->msg_iov, (int)message->msg_iovlen, &answer);
    ssize_t done = syscall(SYS_sendmsg, socket, message, flags);
    return is ? sent(done, answer) : done;
}

/* ---------------------------------------------------------------- files */

/* Is it a file, or a folder, that may be below the folder? What is not is left out when the trace is read. */
static int is_kept(int file, struct stat *now) {
    return trace >= 0 && file > STDERR_FILENO && fstat(file, now) == 0 &&
        (S_ISREG(now->st_mode) || S_ISDIR(now->st_mode));
}

static void put_written(uint64_t inode, uint64_t at, const struct iovec *parts, int count, size_t size) {
    for (int i = 0; i < count && size > 0; i++) {
        size_t part = parts[i].iov_len < size ? parts[i].iov_len : size;
        if (part > 0) put_bytes(WRITTEN, inode, at, 0, parts[i].iov_base, part);
        at += part;
        size -= part;
    }
}

/* Writes at a place, or where the file's own place is. */
static ssize_t written(int file, const struct iovec *parts, int count, int has_place, off_t at) {
    struct stat now;
    uint64_t answer;
    if (!is_kept(file, &now)) {
        int is = !has_place && is_answer(parts, count, &answer);
        ssize_t done = has_place ? syscall(SYS_pwritev, file, parts, count, at, (long)((uint64_t)at >> 32))
                                 : syscall(SYS_writev, file, parts, count);
        return is ? sent(done, answer) : done;
    }
    pthread_mutex_lock(&lock);
    if (!has_place) {
        int flags = fcntl(file, F_GETFL);
        at = flags & O_APPEND ? (fstat(file, &now), now.st_size) : lseek(file, 0, SEEK_CUR);
    }
    ssize_t done = has_place ? syscall(SYS_pwritev, file, parts, count, at, (long)((uint64_t)at >> 32))
                             : syscall(SYS_writev, file, parts, count);
    int error = errno;
    if (done > 0) put_written(now.st_ino, (uint64_t)at, parts, count, (size_t)done);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int file, const void *bytes, size_t size) {
    struct iovec part = {(void *)bytes, size};
    return written(file, &part, 1, 0, 0);
}
ssize_t writev(int file, const struct iovec *parts, int count) { return written(file, parts, count, 0, 0); }
ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
    struct iovec part = {(void *)bytes, size};
    return written(file, &part, 1, 1, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) { return pwrite(file, bytes, size, at); }
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    return written(file, parts, count, 1, at);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    return written(file, parts, count, 1, at);
}

/* Does something to a file and writes it down if it was done. */
#define DO_AND_PUT(FILE, CALL, KIND, A, B)                           \
    struct stat now;                                                 \
    if (!is_kept(FILE, &now)) return (int)(CALL);                    \
    pthread_mutex_lock(&lock);                                       \
    int done = (int)(CALL), error = errno;                           \
    if (done == 0) put(KIND, now.st_ino, (uint64_t)(A), (uint64_t)(B), NULL, 0); \
    pthread_mutex_unlock(&lock);                                     \
    errno = error;                                                   \
    return done;

int ftruncate(int file, off_t length) { DO_AND_PUT(file, syscall(SYS_ftruncate, file, length), CUT, length, 0) }
int ftruncate64(int file, off64_t length) { return ftruncate(file, length); }

int fallocate(int file, int mode, off_t at, off_t length) {
    /* Only plain growing is understood. */
    DO_AND_PUT(file, syscall(SYS_fallocate, file, mode, at, length), mode == 0 ? GROWN : UNKNOWN, at, length)
}
int fallocate64(int file, int mode, off64_t at, off64_t length) { return fallocate(file, mode, at, length); }
int posix_fallocate(int file, off_t at, off_t length) { return fallocate(file, 0, at, length) == 0 ? 0 : errno; }
int posix_fallocate64(int file, off64_t at, off64_t length) { return posix_fallocate(file, at, length); }

static int synced(int file, long call) {
    struct stat now;
    if (!is_kept(file, &now)) return (int)syscall(call, file);
    pthread_mutex_lock(&lock);
    if (S_ISREG(now.st_mode) && syncs_to_live > 0 && --syncs_to_live == 0) raise(SIGKILL);
    uint64_t begun = put(SYNC_BEGUN, now.st_ino, 0, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    int done = (int)syscall(call, file), error = errno;
    if (done == 0) {
        pthread_mutex_lock(&lock);
        put(SYNC_ENDED, now.st_ino, begun, 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return done;
}

int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }

/* ---------------------------------------------------------------- names */

static int named(enum kind kind, const char *path, long call, int flags) {
    char whole[PATH_MAX];
    int is_ours = find(path, whole);
    if (is_ours) pthread_mutex_lock(&lock);
    int done = (int)syscall(call, AT_FDCWD, path, flags), error = errno;
    if (is_ours) {
        if (done == 0) put_bytes(kind, 0, 0, 0, whole, strlen(whole));
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return done;
}

int unlink(const char *path) { return named(UNLINKED, path, SYS_unlinkat, 0); }
int rmdir(const char *path) { return named(UNKNOWN, path, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return named(FOLDER_MADE, path, SYS_mkdirat, (int)mode); }

int rename(const char *from, const char *to) {
    char whole_from[PATH_MAX], whole_to[PATH_MAX];
    int is_ours = find(from, whole_from) | find(to, whole_to);
    if (is_ours) pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), error = errno;
    if (is_ours) {
        /* With the zero between them. */
        struct iovec parts[2] = {{whole_from, strlen(whole_from) + 1}, {whole_to, strlen(whole_to)}};
        if (done == 0) put(RENAMED, 0, 0, 0, parts, 2);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return done;
}


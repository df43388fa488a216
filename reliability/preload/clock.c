// Another wall clock: a process loaded with this sees the time that a file says, and the file may change at any moment.
// What counts seconds (CLOCK_MONOTONIC, CLOCK_BOOTTIME) is left alone.
//
// CLOCK_FILE names the file: `struct face` below, written by rig/clock.rs. CLOCK_BOOT names a file that is read in place
// of the number that Linux gives each of its starts.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION INT64_C(1000000000)

// How the clock goes: it shows `shown_ns` when the machine's seconds say `since_ns`, and `rate_ppm` millionths of a
// second more each second from there on.
struct setting {
    int64_t shown_ns;
    int64_t since_ns;
    int64_t rate_ppm;
};

// Two settings, of which `current` is read; the other may be written meanwhile.
struct face {
    uint64_t current;
    struct setting settings[2];
};

static volatile struct face *face;

static int64_t seconds_counted(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return now.tv_sec * BILLION + now.tv_nsec;
}

static int is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static int64_t shown(void) {
    uint64_t current = __atomic_load_n(&face->current, __ATOMIC_ACQUIRE) & 1;
    volatile struct setting *setting = &face->settings[current];
    int64_t passed = seconds_counted() - setting->since_ns;
    int64_t gone = passed + (int64_t)((__int128)passed * setting->rate_ppm / 1000000);
    return setting->shown_ns + gone;
}

static void spell(int64_t ns, int64_t *seconds, int64_t *rest) {
    *seconds = ns / BILLION;
    *rest = ns % BILLION;
    if (*rest < 0) {
        *rest += BILLION;
        *seconds -= 1;
    }
}

__attribute__((constructor)) static void look(void) {
    const char *path = getenv("CLOCK_FILE");
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0) : -1;
    if (file < 0) {
        return;
    }
    void *mapped = mmap(NULL, sizeof(struct face), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED) {
        face = mapped;
    }
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!face || !is_wall(clock)) {
        static int (*real)(clockid_t, struct timespec *);
        if (!real) {
            real = dlsym(RTLD_NEXT, "clock_gettime");
        }
        return real(clock, now);
    }
    int64_t seconds, rest;
    spell(shown(), &seconds, &rest);
    now->tv_sec = seconds;
    now->tv_nsec = rest;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told) {
        *told = now.tv_sec;
    }
    return now.tv_sec;
}

static const char *boot_of(const char *path) {
    const char *other = getenv("CLOCK_BOOT");
    return other && !strcmp(path, "/proc/sys/kernel/random/boot_id") ? other : path;
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    static int (*real)(const char *, int, ...);
    if (!real) {
        real = dlsym(RTLD_NEXT, "open64");
    }
    return real(boot_of(path), flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = va_arg(more, mode_t);
    va_end(more);
    static int (*real)(const char *, int, ...);
    if (!real) {
        real = dlsym(RTLD_NEXT, "open");
    }
    return real(boot_of(path), flags, mode);
}

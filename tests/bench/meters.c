/* Many float32 meters on loopback, fast enough never to be what is measured.
 *
 * usage: meters COUNT. Listens on COUNT + 1 ports of 127.0.0.1 and prints them on one line; the last one answers
 * each connection with "REGISTERS\n", the registers served so far, and closes it. Functions 3 and 4 only, any
 * unit. Registers 0 and 1 are a counter that grows by 0.1 a second; the others are gauges of 0.1 resolution.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, QUESTION = 12 };
enum kind { CLOSED, DOOR, COUNT, TALK };
static struct { enum kind kind; int held; unsigned char in[QUESTION]; } at[MOST];
static unsigned long long served;

static void put(int unit, int address, unsigned char *out)
{
    unsigned now = (unsigned)time(NULL);
    int pair = address & ~1;
    float value = pair == 0 ? (1000 * unit + now % 10000000) * 0.1f
                            : 230.0f + unit + pair + (float)((now * 7 + pair * 13) % 40) * 0.1f;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t half = address & 1 ? bits & 0xffff : bits >> 16;
    out[0] = half >> 8;
    out[1] = half & 255;
}

static int answer(const unsigned char *in, unsigned char *out)
{
    int address = in[8] << 8 | in[9], count = in[10] << 8 | in[11], size = 2 * count + 3;
    memcpy(out, in, 8);
    if ((in[7] != 3 && in[7] != 4) || count < 1 || count > 125) {
        out[7] |= 0x80;
        out[8] = 1;
        size = 3;
    } else {
        out[8] = 2 * count;
        for (int k = 0; k < count; k++)
            put(in[6], address + k, out + 9 + 2 * k);
        served += count;
    }
    out[4] = size >> 8;
    out[5] = size & 255;
    return 6 + size;
}

static void watch(int poller, int fd, enum kind kind)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    at[fd].kind = kind;
    at[fd].held = 0;
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static void talk(int fd)
{
    unsigned char out[300];
    for (;;) {
        ssize_t got = recv(fd, at[fd].in + at[fd].held, QUESTION - at[fd].held, MSG_DONTWAIT);
        if (got == 0) {
            at[fd].kind = CLOSED;
            close(fd);
        }
        if (got <= 0)
            return;
        at[fd].held += got;
        if (at[fd].held == QUESTION) {
            at[fd].held = 0;
            if (write(fd, out, answer(at[fd].in, out)) < 0)
                return;
        }
    }
}

int main(int argc, char **argv)
{
    int doors = argc > 1 ? atoi(argv[1]) : 1, poller = epoll_create1(0), one = 1;
    signal(SIGPIPE, SIG_IGN);
    for (int k = 0; k <= doors; k++) {
        struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof place;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (void *)&place, size) || listen(fd, 64) || getsockname(fd, (void *)&place, &size))
            return perror("listen"), 3;
        printf("%d%c", ntohs(place.sin_port), k == doors ? '\n' : ' ');
        watch(poller, fd, k == doors ? COUNT : DOOR);
    }
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (at[fd].kind == TALK) {
                talk(fd);
                continue;
            }
            int guest = accept(fd, NULL, NULL);
            if (guest < 0 || guest >= MOST)
                continue;
            if (at[fd].kind == COUNT) {
                dprintf(guest, "%llu\n", served);
                close(guest);
                continue;
            }
            setsockopt(guest, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            watch(poller, guest, TALK);
        }
    }
}

/* Every kind of memory that smaps.py tells apart, so much of each that it can be recognised; then it waits. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char bss[300 * 1024];

static void *work(void *unused) {
    char stack[400 * 1024];
    memset(stack, 1, sizeof stack);
    for (int i = 0; i < 50; i++) memset(malloc(10 * 1024), 1, 10 * 1024); /* the thread's own arena */
    puts("up");
    fflush(stdout);
    pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    memset(bss, 1, sizeof bss);
    for (int i = 0; i < 60; i++) memset(malloc(10 * 1024), 1, 10 * 1024);
    memset(mmap(NULL, 700 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 700 * 1024);
    mmap(NULL, 900 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* never touched */
    int file = memfd_create("pages", 0);
    if (ftruncate(file, 800 * 1024) != 0) return 1;
    memset(mmap(NULL, 800 * 1024, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), 1, 800 * 1024);
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
    return 0;
}

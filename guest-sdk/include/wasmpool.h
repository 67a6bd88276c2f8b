/*
 * wasmpool for core modules: queues, locks and the like, and tasks that submit tasks.
 *
 * C99. Compile for wasm32 and export the memory under its usual name, `memory`. Every function here is an
 * import of the module `wasmpool`; the host offers all of them. What a task may use is granted to it by name,
 * by an option of the command line or by the program that runs it.
 *
 *     #include "wasmpool.h"
 *
 *     int64_t jobs = wasmpool_open(WASMPOOL_QUEUE, "jobs", 4);
 *     if (jobs < 0) return 1;
 *     char item[4096];
 *     uint32_t length;
 *     while (wasmpool_get((uint32_t)jobs, WASMPOOL_NEVER, 0, item, sizeof item, &length) == WASMPOOL_CODE_DONE) {
 *         work(item, length);
 *     }
 *
 * Handles: numbers from 1 on. Several handles of one object are one participant: a lock that was taken
 * through one is held, whichever handle is used.
 *
 * Time-outs are in milliseconds: WASMPOOL_TRY does not wait, WASMPOOL_NEVER waits without limit.
 *
 * Pointers and lengths are checked before anything is done: one that leaves the memory is code 31. Texts are
 * UTF-8 with a length and without a zero at their end.
 *
 * Buffers: a function that gives bytes back takes a buffer, its capacity, and where their number goes. When
 * they do not fit, the code is 22, the number says how many there are, and nothing is lost: the same call
 * with a larger buffer gives them.
 */
#ifndef WASMPOOL_H
#define WASMPOOL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WASMPOOL_IMPORT(name) __attribute__((import_module("wasmpool"), import_name(#name)))

/* Time-outs. */
#define WASMPOOL_TRY 0u
#define WASMPOOL_NEVER 4294967295u

/* Kinds of objects. */
#define WASMPOOL_LOCK 0u
#define WASMPOOL_RLOCK 1u
#define WASMPOOL_SEMAPHORE 2u
#define WASMPOOL_EVENT 3u
#define WASMPOOL_CONDITION 4u
#define WASMPOOL_BARRIER 5u
#define WASMPOOL_VALUE 6u
#define WASMPOOL_ARRAY 7u
#define WASMPOOL_QUEUE 8u
/* One end of a pipe. */
#define WASMPOOL_PIPE 9u
#define WASMPOOL_DICT 10u

/* Codes. From 16 on nothing has changed, and `wasmpool_last_error` says what was wrong. */
#define WASMPOOL_CODE_DONE 0u
/* Done, and who held it before died or left without giving it back. */
#define WASMPOOL_CODE_ABANDONED 1u
/* A closed queue without items, a swap that another value prevented, an entry that there is not. */
#define WASMPOOL_CODE_END 2u
/* The time was over; after a try: it would have had to wait. */
#define WASMPOOL_CODE_TIMED_OUT 16u
/* The queue, or the other end of the pipe, is closed. */
#define WASMPOOL_CODE_CLOSED 17u
/* The name was not granted; `wasmpool_last_error` says what grants it. */
#define WASMPOOL_CODE_ACCESS_DENIED 18u
/* The task does not hold what it wants to give back. */
#define WASMPOOL_CODE_NOT_OWNER 19u
/* The task holds the lock already. */
#define WASMPOOL_CODE_ALREADY_OWNED 20u
/* The barrier is broken. */
#define WASMPOOL_CODE_BROKEN 21u
/* An item is over its limit, or does not fit the buffer. */
#define WASMPOOL_CODE_TOO_LARGE 22u
/* An index or a count that the object cannot have. */
#define WASMPOOL_CODE_OUT_OF_RANGE 23u
/* The object is of another kind. */
#define WASMPOOL_CODE_WRONG_KIND 24u
/* As many handles, holders, tasks or entries as there may be. */
#define WASMPOOL_CODE_TOO_MANY 25u
/* There is no such handle, lease or task. */
#define WASMPOOL_CODE_NOT_FOUND 26u
/* Nobody that could end the wait is able to act. */
#define WASMPOOL_CODE_DEADLOCK 27u
/* The task is being stopped. */
#define WASMPOOL_CODE_CANCELLED 28u
/* A participant broke the object. */
#define WASMPOOL_CODE_DAMAGED 29u
/* It cannot be had now. */
#define WASMPOOL_CODE_UNAVAILABLE 30u
/* A pointer or length outside the memory, or a text that is no UTF-8. */
#define WASMPOOL_CODE_BAD_POINTER 31u
/* From here on: a submitted task did not return. 256 less, it is its exit code. */
#define WASMPOOL_CODE_TASK_ENDED 256u

/* ---- Handles ---- */

/* Opens the object of this kind that was granted under this name: its handle, or minus a code. */
WASMPOOL_IMPORT(open)
int64_t wasmpool_open(uint32_t kind, const char *name, uint32_t name_length);

/* Gives up a handle. With the last handle of an object everything that the task held of it is given back. */
WASMPOOL_IMPORT(release_handle)
void wasmpool_release_handle(uint32_t handle);

/* What the last code from 16 on was about. Writes what fits the buffer; the whole length, or minus a code. */
WASMPOOL_IMPORT(last_error)
int32_t wasmpool_last_error(char *buffer, uint32_t capacity);

/* ---- Lock, rlock, semaphore, and a condition's lock ---- */

/* Takes it. Code 1: whoever held it before died or left without giving it back, so what it protects may be half done. */
WASMPOOL_IMPORT(acquire)
uint32_t wasmpool_acquire(uint32_t handle, uint32_t timeout_ms);

/* Gives it back. */
WASMPOOL_IMPORT(release)
uint32_t wasmpool_release(uint32_t handle);

/* After `acquire` or `wait` answered 1: the number of the task that died or left; otherwise 0. */
WASMPOOL_IMPORT(abandoned_by)
uint64_t wasmpool_abandoned_by(uint32_t handle);

/* ---- Event, condition, barrier ---- */

/* Sets an event, and wakes everybody. */
WASMPOOL_IMPORT(set)
uint32_t wasmpool_set(uint32_t handle);

/* Clears it. */
WASMPOOL_IMPORT(clear)
uint32_t wasmpool_clear(uint32_t handle);

/* 1 or 0: an event is set, a barrier is broken. From 16 on: a code. */
WASMPOOL_IMPORT(is_set)
uint32_t wasmpool_is_set(uint32_t handle);

/* Waits for an event, or for a condition, whose lock the task holds before and after it. */
WASMPOOL_IMPORT(wait)
uint32_t wasmpool_wait(uint32_t handle, uint32_t timeout_ms);

/* Wakes this many tasks that wait for a condition. */
WASMPOOL_IMPORT(notify)
uint32_t wasmpool_notify(uint32_t handle, uint32_t count);

/* Waits for the other parties of a barrier: the task's place among them, from 0, or minus a code. */
WASMPOOL_IMPORT(meet)
int64_t wasmpool_meet(uint32_t handle, uint32_t timeout_ms);

/* Makes a broken barrier whole. */
WASMPOOL_IMPORT(reset)
uint32_t wasmpool_reset(uint32_t handle);

/* Breaks a barrier. */
WASMPOOL_IMPORT(abort)
uint32_t wasmpool_abort(uint32_t handle);

/*
 * Items, free permits, waiting parties, elements or entries: a hint, it may be old when it arrives. A handle
 * of an object that has no length ends the task with a trap.
 */
WASMPOOL_IMPORT(len)
uint64_t wasmpool_len(uint32_t handle);

/* ---- Value: a handle that is no value ends the task with a trap, in all five ---- */

/* Its bits. */
WASMPOOL_IMPORT(load)
uint64_t wasmpool_load(uint32_t handle);

/* Each of these gives what was there before. */
WASMPOOL_IMPORT(store)
uint64_t wasmpool_store(uint32_t handle, uint64_t bits);

/* Adds to an integer, and wraps around. */
WASMPOOL_IMPORT(add_integer)
int64_t wasmpool_add_integer(uint32_t handle, int64_t addend);

/* Adds to a float. */
WASMPOOL_IMPORT(add_float)
double wasmpool_add_float(uint32_t handle, double addend);

/* It was exchanged if what was there before is `expected`. */
WASMPOOL_IMPORT(compare_exchange)
uint64_t wasmpool_compare_exchange(uint32_t handle, uint64_t expected, uint64_t new_bits);

/* ---- Array: elements are little-endian and lie end to end ---- */

/* The bytes of `count` elements from `start` on. */
WASMPOOL_IMPORT(read)
uint32_t wasmpool_read(uint32_t handle, uint64_t start, uint64_t count,
                       void *buffer, uint32_t capacity, uint32_t *length_out);

/* Writes whole elements from `start` on. */
WASMPOOL_IMPORT(write)
uint32_t wasmpool_write(uint32_t handle, uint64_t start, const void *bytes, uint32_t length);

/* ---- Queue and pipe ---- */

/* Puts an item into a queue, or sends it to the other end of a pipe. Waits for room. */
WASMPOOL_IMPORT(put)
uint32_t wasmpool_put(uint32_t handle, uint32_t timeout_ms, const void *item, uint32_t length);

/*
 * Takes an item. `leased`, if not 0: the item stays the queue's until it is acknowledged, and goes back to it
 * when the task dies. Code 2: the queue is closed and empty. Code 22: the item stays the first that this
 * handle gets; should the task die or give the handle up, it goes back to the queue (a pipe's is gone).
 */
WASMPOOL_IMPORT(get)
uint32_t wasmpool_get(uint32_t handle, uint32_t timeout_ms, uint32_t leased,
                      void *buffer, uint32_t capacity, uint32_t *length_out);

/* The lease of the item that `get` took last. */
WASMPOOL_IMPORT(lease)
uint64_t wasmpool_lease(uint32_t handle);

/* How often that item was delivered: 1 for the first time. */
WASMPOOL_IMPORT(deliveries)
uint32_t wasmpool_deliveries(uint32_t handle);

/* A leased item is done. */
WASMPOOL_IMPORT(acknowledge)
uint32_t wasmpool_acknowledge(uint32_t handle, uint64_t lease);

/* Gives a leased item back to its place. */
WASMPOOL_IMPORT(give_back)
uint32_t wasmpool_give_back(uint32_t handle, uint64_t lease);

/* Nothing more is put (queue), or sent from this end (pipe). */
WASMPOOL_IMPORT(close)
uint32_t wasmpool_close(uint32_t handle);

/* Waits until a queue has no item and no lease. */
WASMPOOL_IMPORT(wait_empty)
uint32_t wasmpool_wait_empty(uint32_t handle, uint32_t timeout_ms);

/* Takes the oldest item that was delivered too often; code 2: there is none. */
WASMPOOL_IMPORT(take_dead)
uint32_t wasmpool_take_dead(uint32_t handle, void *buffer, uint32_t capacity, uint32_t *length_out);

/* ---- Dict ---- */

/* The value of a key; code 2: there is none. */
WASMPOOL_IMPORT(dict_get)
uint32_t wasmpool_dict_get(uint32_t handle, const char *key, uint32_t key_length,
                           void *buffer, uint32_t capacity, uint32_t *length_out);

/*
 * Sets it. What fits the buffer of the value before is written, and its whole length; code 2: it is set, and
 * there was none before.
 */
WASMPOOL_IMPORT(dict_set)
uint32_t wasmpool_dict_set(uint32_t handle, const char *key, uint32_t key_length,
                           const void *value, uint32_t value_length,
                           void *buffer, uint32_t capacity, uint32_t *length_out);

/* Removes it. The value before as in `dict_set`; code 2: there was none. */
WASMPOOL_IMPORT(dict_remove)
uint32_t wasmpool_dict_remove(uint32_t handle, const char *key, uint32_t key_length,
                              void *buffer, uint32_t capacity, uint32_t *length_out);

/*
 * Sets (or removes) it if it has this value (or none): a null pointer is no value. Code 2: it had another.
 */
WASMPOOL_IMPORT(dict_swap)
uint32_t wasmpool_dict_swap(uint32_t handle, const char *key, uint32_t key_length,
                            const void *expected, uint32_t expected_length,
                            const void *new_value, uint32_t new_length);

/*
 * Keys in order after this one (a null pointer: from the first), as many as fit: each is its length in four
 * bytes, little-endian, and its text. No bytes: there are no more.
 */
WASMPOOL_IMPORT(dict_keys)
uint32_t wasmpool_dict_keys(uint32_t handle, const char *after, uint32_t after_length,
                            void *buffer, uint32_t capacity, uint32_t *length_out);

/* Removes every entry. */
WASMPOOL_IMPORT(dict_clear)
uint32_t wasmpool_dict_clear(uint32_t handle);

/* ---- Tasks that submit tasks of their own module to their own pool ---- */

/* Submits a task with its arguments as it takes them (JSON, or raw bytes): its number, or minus a code. */
WASMPOOL_IMPORT(pool_submit)
int64_t wasmpool_pool_submit(const char *task, uint32_t task_length, const void *args, uint32_t args_length);

/*
 * Waits for its end, and gives its result as it is, once. From 256 on: 256 more than the code with which it
 * ended, and its message is the last error.
 */
WASMPOOL_IMPORT(pool_join)
uint32_t wasmpool_pool_join(uint64_t task, uint32_t timeout_ms,
                            void *buffer, uint32_t capacity, uint32_t *length_out);

/* Stops it. */
WASMPOOL_IMPORT(pool_cancel)
void wasmpool_pool_cancel(uint64_t task);

#ifdef __cplusplus
}
#endif

#endif

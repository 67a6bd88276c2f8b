/* The tasks of examples/squares in C: each `exports_squares_` function is what `wit/plugin.wit` exports. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "squares.h"

typedef squares_string_t string;
typedef wasmpool_task_objects_error_t object_error;

/* A text that the caller of the task gets; the bindings free it. */
static void set_text(string *text, const char *format, long long a, long long b) {
    char buffer[128];
    snprintf(buffer, sizeof buffer, format, a, b);
    squares_string_dup(text, buffer);
}

/* `a`, ` and so on `, and `b` as one string. */
static void join(string *joined, string a, const char *between, string b) {
    size_t length = strlen(between);
    joined->len = a.len + length + b.len;
    joined->ptr = malloc(joined->len);
    if (joined->ptr == NULL) abort();
    memcpy(joined->ptr, a.ptr, a.len);
    memcpy(joined->ptr + a.len, between, length);
    memcpy(joined->ptr + a.len + length, b.ptr, b.len);
}

int64_t exports_squares_square(int64_t n) {
    int64_t square;
    /* A trap (code 200) ends the task at once. */
    if (__builtin_mul_overflow(n, n, &square)) abort();
    return square;
}

/* A `result` is a `bool`: true with `*ret`, or false with `*err`. */
bool exports_squares_divide(int64_t a, int64_t b, int64_t *ret, string *err) {
    if (b == 0) {
        set_text(err, "cannot divide %lld by zero", a, b);
        return false;
    }
    if (a == INT64_MIN && b == -1) {
        set_text(err, "%lld divided by %lld does not fit into 64 bits", a, b);
        return false;
    }
    *ret = a / b;
    return true;
}

void exports_squares_greet(string *name, string *ret) {
    string target, message, none = {NULL, 0}, task;
    squares_string_set(&target, "squares");
    join(&message, none, "greeting ", *name);
    wasmpool_task_log_record(WASMPOOL_TASK_LOG_LEVEL_INFO, &target, &message);
    wasmpool_task_context_name(&task);
    join(ret, task, " says hello to ", *name);
    squares_string_free(&task);
    squares_string_free(&message);
    squares_string_free(name);
}

/* An `option` is a `bool` too. What a function is given is its own to free. */
bool exports_squares_summarize(squares_list_s64_t *numbers, squares_summary_t *ret) {
    double sum = 0;
    for (size_t i = 0; i < numbers->len; i++) {
        int64_t number = numbers->ptr[i];
        if (i == 0 || number < ret->smallest) ret->smallest = number;
        if (i == 0 || number > ret->largest) ret->largest = number;
        sum += (double)number;
    }
    bool any = numbers->len > 0;
    if (any) ret->mean = sum / (double)numbers->len;
    squares_list_s64_free(numbers);
    return any;
}

/* The word as a JSON string. */
static squares_list_u8_t quoted(string word) {
    squares_list_u8_t item = {malloc(word.len * 6 + 2), 0};
    if (item.ptr == NULL) abort();
    item.ptr[item.len++] = '"';
    for (size_t i = 0; i < word.len; i++) {
        uint8_t byte = word.ptr[i];
        if (byte == '"' || byte == '\\') item.ptr[item.len++] = '\\';
        if (byte >= 0x20) {
            item.ptr[item.len++] = byte;
            continue;
        }
        static const char digits[] = "0123456789abcdef";
        memcpy(item.ptr + item.len, "\\u00", 4);
        item.ptr[item.len + 4] = (uint8_t)digits[byte >> 4];
        item.ptr[item.len + 5] = (uint8_t)digits[byte & 15];
        item.len += 6;
    }
    item.ptr[item.len++] = '"';
    return item;
}

/* What was wrong, in words. Every case with a text has it at the same place. */
static void describe(object_error *error, string *err) {
    switch (error->tag) {
    case WASMPOOL_TASK_OBJECTS_ERROR_CLOSED: squares_string_dup(err, "it is closed"); break;
    case WASMPOOL_TASK_OBJECTS_ERROR_NOT_OWNER: squares_string_dup(err, "the task does not hold it"); break;
    case WASMPOOL_TASK_OBJECTS_ERROR_ALREADY_OWNED: squares_string_dup(err, "the task holds it already"); break;
    case WASMPOOL_TASK_OBJECTS_ERROR_BROKEN: squares_string_dup(err, "it is broken"); break;
    case WASMPOOL_TASK_OBJECTS_ERROR_CANCELLED: squares_string_dup(err, "the task is being stopped"); break;
    default: *err = error->val.other; break;
    }
}

bool exports_squares_deliver(string *queue, string *lock, squares_list_string_t *words, uint32_t *ret, string *err) {
    wasmpool_task_objects_own_queue_t jobs;
    wasmpool_task_objects_own_lock_t turn;
    wasmpool_task_objects_acquisition_t acquired;
    object_error error;
    bool put;
    /* No time-out: a null pointer. What is still open or held when a task ends is given back. */
    bool done = wasmpool_task_objects_static_queue_open(queue, &jobs, &error)
        && wasmpool_task_objects_static_lock_open(lock, &turn, &error)
        && wasmpool_task_objects_method_lock_acquire(
            wasmpool_task_objects_borrow_lock(turn), NULL, &acquired, &error);
    for (size_t i = 0; done && i < words->len; i++) {
        squares_list_u8_t item = quoted(words->ptr[i]);
        done = wasmpool_task_objects_method_queue_put(
            wasmpool_task_objects_borrow_queue(jobs), &item, NULL, &put, &error);
        squares_list_u8_free(&item);
    }
    if (done) {
        *ret = (uint32_t)words->len;
    } else {
        describe(&error, err);
    }
    return done;
}

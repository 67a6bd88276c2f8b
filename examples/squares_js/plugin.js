// The tasks of examples/squares in JavaScript: each exported function is what `wit/plugin.wit` exports.

import { name as taskName } from 'wasmpool:task/context@0.1.0';
import { record } from 'wasmpool:task/log@0.1.0';
import { Lock, Queue } from 'wasmpool:task/objects@0.1.0';

// An `s64` is a BigInt. A negative one arrives as 2^64 more: the engine reads it as unsigned.
function signed(number) {
  return BigInt.asIntN(64, number);
}

// What leaves is cut to 64 bits, so whoever wants to know looks first.
function fits(number) {
  return signed(number) === number;
}

export function square(unsigned) {
  const n = signed(unsigned);
  if (!fits(n * n)) throw new RangeError(`the square of ${n} does not fit into 64 bits`);
  return n * n;
}

// What is thrown where WIT has a `result` with a string is its error, if it is a string: the task fails with it.
export function divide(unsignedA, unsignedB) {
  const [a, b] = [signed(unsignedA), signed(unsignedB)];
  if (b === 0n) throw `cannot divide ${a} by zero`;
  if (!fits(a / b)) throw `${a} divided by ${b} does not fit into 64 bits`;
  return a / b;
}

export function greet(name) {
  record('info', 'squares', `greeting ${name}`);
  return `${taskName()} says hello to ${name}`;
}

export function summarize(unsigned) {
  const numbers = Array.from(unsigned, signed);
  if (numbers.length === 0) return undefined;
  const least = (a, b) => (a < b ? a : b);
  const most = (a, b) => (a > b ? a : b);
  const sum = numbers.reduce((a, b) => a + b, 0n);
  return {
    smallest: numbers.reduce(least),
    largest: numbers.reduce(most),
    mean: Number(sum) / numbers.length,
  };
}

export function deliver(queue, lock, words) {
  try {
    const jobs = Queue.open(queue);
    const turn = Lock.open(lock);
    turn.acquire(undefined);
    for (const word of words) jobs.put(new TextEncoder().encode(JSON.stringify(word)), undefined);
    turn.release();
    return words.length;
  } catch (error) {
    // The error of an imported function: a case of the variant, and what it carries.
    if (!error.payload) throw error;
    throw error.payload.val ?? error.payload.tag;
  }
}

//! What can be done at best, without processes and without checks of ours.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use wasmtime::{Config, Engine, Instance, Module, Store};

/// Nanoseconds for a fresh store and instance of the smallest module, and a call, `n` times in this process.
pub fn instances<'a>(n: u64) -> Box<dyn Fn() -> f64 + 'a> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    let engine = Engine::new(&config).expect("an engine");
    let text = "(module (memory 17) (func (export \"double\") (param i64) (result i64)
        (i64.mul (local.get 0) (i64.const 2))))";
    let module = Module::new(&engine, wat::parse_str(text).expect("it is valid")).expect("it compiles");
    Box::new(move || {
        let began = Instant::now();
        for number in 0..i64::try_from(n).expect("few") {
            let mut store = Store::new(&engine, ());
            store.set_epoch_deadline(1);
            let instance = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
            let double = instance.get_typed_func::<i64, i64>(&mut store, "double").expect("its type");
            assert_eq!(double.call(&mut store, number).expect("no trap"), 2 * number);
        }
        began.elapsed().as_nanos() as f64 / n as f64
    })
}

/// Nanoseconds for a copy of so many bytes into memory that was written to before.
pub fn copy<'a>(bytes: usize) -> Box<dyn Fn() -> f64 + 'a> {
    let (from, to) = (vec![1_u8; bytes], std::cell::RefCell::new(vec![2_u8; bytes]));
    Box::new(move || {
        let began = Instant::now();
        to.borrow_mut().copy_from_slice(black_box(&from));
        black_box(&to);
        began.elapsed().as_nanos() as f64
    })
}

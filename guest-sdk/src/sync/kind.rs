//! The kinds of shared objects, by their numbers in the interface `flat`.

#![forbid(unsafe_code)]

macro_rules! kinds {
    ($($name:ident = $number:literal, $label:literal;)*) => {
        /// What a shared object is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Kind { $($name = $number,)* }

        impl Kind {
            /// Its name in messages and, after `--`, on the command line.
            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

kinds! {
    Lock = 0, "lock";
    RLock = 1, "rlock";
    Semaphore = 2, "semaphore";
    Event = 3, "event";
    Condition = 4, "condition";
    Barrier = 5, "barrier";
    Value = 6, "value";
    Array = 7, "array";
    Queue = 8, "queue";
    Pipe = 9, "pipe";
    Dict = 10, "dict";
}

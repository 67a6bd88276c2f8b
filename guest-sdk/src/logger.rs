//! The `log` crate's facade, forwarded to the host, which adds the task's name.

#![forbid(unsafe_code)]

use log::{LevelFilter, Log, Metadata, Record};
use std::sync::OnceLock;

use crate::host;

/// Sends what is logged to the host's log.
#[derive(Debug)]
pub struct Logger {
    /// The host's answer, asked for at the first record: a task that logs nothing asks nothing.
    max_level: OnceLock<LevelFilter>,
}

impl Logger {
    /// A logger that has asked nothing yet.
    pub const fn new() -> Self {
        Self { max_level: OnceLock::new() }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= *self.max_level.get_or_init(host::log_max_level)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            match record.args().as_str() {
                Some(message) => host::log_record(record.level(), record.target(), message),
                None => host::log_record(record.level(), record.target(), &record.args().to_string()),
            }
        }
    }

    fn flush(&self) {}
}

/// Makes this the program's logger, once. A plugin that has set one of its own keeps it.
#[cfg(target_arch = "wasm32")]
pub fn install() {
    static LOGGER: Logger = Logger::new();
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use log::Level;

    fn record_all(logger: &Logger) {
        for (level, message) in [(Level::Error, "bad"), (Level::Info, "fine"), (Level::Trace, "dull")] {
            logger
                .log(&Record::builder().level(level).target("here").args(format_args!("{message}")).build());
        }
    }

    #[test]
    fn records_below_the_hosts_level_stay_in_the_guest() {
        let ran = Host::new().log_level(LevelFilter::Info).run(|| record_all(&Logger::new()));
        let expected = [(Level::Error, "here", "bad"), (Level::Info, "here", "fine")]
            .map(|(level, target, message)| (level, target.to_owned(), message.to_owned()));
        assert_eq!(ran.logged, expected);
    }

    #[test]
    fn a_host_that_wants_no_records_gets_none() {
        let ran = Host::new().log_level(LevelFilter::Off).run(|| record_all(&Logger::new()));
        assert!(ran.logged.is_empty());
    }

    #[test]
    fn the_host_is_asked_once() {
        let ran = Host::new().run(|| {
            let logger = Logger::new();
            record_all(&logger);
            record_all(&logger);
        });
        assert_eq!((ran.logged.len(), ran.log_level_questions), (6, 1));
    }
}

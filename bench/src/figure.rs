//! One line of the table, and the times it is made of.

use std::time::Duration;

use cogwheel_testkit::Backend;
use serde_json::{Value, json};

/// The head of the table.
pub(crate) const HEAD: &str = "| workload | database | measured | raw limit in the same run | reach | peers |\n\
                               |---|---|---|---|---|---|";

/// What a workload came to.
pub(crate) struct Figure {
    pub(crate) workload: &'static str,
    /// `None` where no database takes part.
    pub(crate) backend: Option<Backend>,
    pub(crate) measured: String,
    /// What the machine or the database can do at all, measured in the same run.
    pub(crate) raw: String,
    pub(crate) reach: &'static str,
    /// What others did with the same work on such a machine.
    pub(crate) peers: &'static str,
    pub(crate) value: Value,
}

impl Figure {
    fn database(&self) -> &'static str {
        self.backend.map_or("-", name)
    }

    /// The line as Markdown.
    pub(crate) fn row(&self) -> String {
        let Self { workload, measured, raw, reach, peers, .. } = self;
        format!("| {workload} | {} | {measured} | {raw} | {reach} | {peers} |", self.database())
    }

    /// The line for programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "workload": self.workload, "database": self.database(), "value": self.value })
    }
}

/// What the database is called.
fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "SQLite",
        Backend::Postgres => "PostgreSQL",
    }
}

/// Times in rising order.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort();
        Self(times)
    }

    /// In milliseconds.
    pub(crate) fn percentile(&self, percentile: usize) -> f64 {
        let place = (self.0.len() * percentile / 100).min(self.0.len() - 1);
        milliseconds(self.0[place])
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// `p50 1.2 ms, p99 3.4 ms`.
    pub(crate) fn shown(&self) -> String {
        format!("p50 {:.2} ms, p99 {:.2} ms", self.median(), self.percentile(99))
    }

    /// `median 1.20 ms (0.90 to 3.40)`.
    pub(crate) fn summary(&self) -> String {
        format!("median {:.2} ms ({:.2} to {:.2})", self.median(), self.percentile(0), self.percentile(100))
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "p50_ms": self.median(), "p99_ms": self.percentile(99), "min_ms": self.percentile(0),
            "max_ms": self.percentile(100), "runs": self.0.len() })
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The middle one of several rates.
pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// How many of `count` a second.
pub(crate) fn rate(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("counts are small")) / took.as_secs_f64()
}

//! The two load generators, one thread each: our own client for HTTP, pgbench for PostgreSQL itself.

mod client;
mod pgbench;
mod talk;

pub use client::{Load, run};
pub use pgbench::pgbench;
pub use talk::{Answer, Fixed, Request, Talk, request};

/// What one or several runs of a generator gave.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub requests: f64,
    pub seconds: f64,
    /// The sum of all latencies, in milliseconds.
    latency_sum_ms: f64,
    /// Every latency in microseconds, where the generator tells them.
    latencies: Vec<u32>,
}

impl Figures {
    /// Adds another run of the same.
    pub fn add(&mut self, other: Figures) {
        self.requests += other.requests;
        self.seconds += other.seconds;
        self.latency_sum_ms += other.latency_sum_ms;
        self.latencies.extend(other.latencies);
    }

    pub fn per_second(&self) -> f64 {
        self.requests / self.seconds.max(f64::MIN_POSITIVE)
    }

    pub fn mean_ms(&self) -> f64 {
        self.latency_sum_ms / self.requests.max(1.0)
    }

    /// Sorts the latencies and returns those below which the given shares lie, in milliseconds.
    pub fn quantiles<const N: usize>(&mut self, shares: [f64; N]) -> [f64; N] {
        self.latencies.sort_unstable();
        shares.map(|share| {
            let at = (self.latencies.len().saturating_sub(1)) as f64 * share;
            self.latencies.get(at as usize).map_or(0.0, |micros| f64::from(*micros) / 1e3)
        })
    }
}

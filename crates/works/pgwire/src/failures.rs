//! Failed logins by the client's address: each further one is answered later, so that guessing is slow.

use lru::LruCache;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered; the one that failed longest ago makes room.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// After so long without a failure an address starts anew.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// The delay grows up to two to the power of this.
const DOUBLINGS_MAX: u32 = 4;

/// How often each address has failed of late.
pub(crate) struct Failures {
    addresses: Mutex<LruCache<IpAddr, Failed>>,
    /// How late the second failure is answered; doubled with each further one.
    first_delay: Duration,
}

struct Failed {
    times: u32,
    last: Instant,
}

impl Failures {
    pub(crate) fn new(first_delay: Duration) -> Failures {
        Failures { addresses: Mutex::new(LruCache::new(ADDRESSES_MAX)), first_delay }
    }

    /// Counts a failure; for how long its answer shall wait. The first of an address, a slip most likely, does not.
    pub(crate) fn count(&self, address: IpAddr, now: Instant) -> Duration {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = addresses.get_or_insert_mut(network(address), || Failed { times: 0, last: now });
        if now.saturating_duration_since(failed.last) > FORGOTTEN {
            failed.times = 0;
        }
        (failed.times, failed.last) = (failed.times.saturating_add(1), now);
        match failed.times {
            1 => Duration::ZERO,
            times => self.first_delay * 2_u32.pow((times - 2).min(DOUBLINGS_MAX)),
        }
    }
}

/// What one client has for itself: an IPv4 address, or the first half of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_later_and_later_up_to_a_limit() {
        let (failures, now) = (Failures::new(Duration::from_millis(250)), Instant::now());
        let delays = |address: &str, now| failures.count(address.parse().unwrap(), now).as_millis();
        let grown: Vec<_> = (0..8).map(|_| delays("10.0.0.1", now)).collect();
        assert_eq!(grown, [0, 250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(delays("10.0.0.2", now), 0, "another address is not concerned");
        assert_eq!(delays("::ffff:10.0.0.2", now), 250, "the same one, written otherwise");
        assert_eq!(delays("10.0.0.1", now + FORGOTTEN * 2), 0, "long ago");
    }

    #[test]
    fn a_network_of_one_client_counts_as_one() {
        let (failures, now) = (Failures::new(Duration::from_secs(1)), Instant::now());
        let delay = |address: &str| failures.count(address.parse().unwrap(), now);
        assert_eq!(delay("2001:db8::1"), Duration::ZERO);
        assert_eq!(delay("2001:db8::ffff:2"), Duration::from_secs(1));
        assert_eq!(delay("2001:db8:0:1::1"), Duration::ZERO);
    }
}

//! One line in the log per address and minute for requests that are none: who scans us fills no disk.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::forwarded::counted;

/// For how long an address is not spoken of again.
const QUIET: Duration = Duration::from_mins(1);

/// Most addresses that are remembered. More in a minute share what is left.
const MAX_ADDRESSES: usize = 1024;

/// Tells the log of malformed requests, and not too often. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MalformedLog(Arc<Mutex<Recent>>);

impl MalformedLog {
    /// Tells that `address` has sent what is no request.
    pub fn tell(&self, address: IpAddr, reason: &str) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = recent.admit(Instant::now(), counted(address)) else { return };
        drop(recent);
        tracing::warn!(
            %address,
            reason,
            left_out,
            "a malformed request was refused; more of this address are not told for a minute"
        );
    }
}

/// Of whom the log was told lately.
#[derive(Debug, Default)]
struct Recent {
    addresses: HashMap<IpAddr, Told>,
    /// Those there was no room for.
    others: Option<Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How many have come since, and were not told.
    left_out: u64,
}

impl Recent {
    /// Whether the log is to be told: how many it was not told of since it was last.
    fn admit(&mut self, now: Instant, address: IpAddr) -> Option<u64> {
        if !self.addresses.contains_key(&address) && self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.retain(|_, told| now < told.at + QUIET);
        }
        let new = Told { at: now, left_out: 0 };
        if let Some(told) = self.addresses.get_mut(&address) {
            return told.again(now);
        }
        if self.addresses.len() < MAX_ADDRESSES {
            self.addresses.insert(address, new);
            return Some(0);
        }
        match &mut self.others {
            Some(told) => told.again(now),
            others @ None => {
                *others = Some(new);
                Some(0)
            }
        }
    }
}

impl Told {
    fn again(&mut self, now: Instant) -> Option<u64> {
        if now < self.at + QUIET {
            self.left_out += 1;
            return None;
        }
        let left_out = std::mem::take(&mut self.left_out);
        self.at = now;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
    }

    #[test]
    fn each_address_is_told_of_once_a_minute() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        let mut admit = |s, number| recent.admit(start + Duration::from_secs(s), address(number));
        assert_eq!(admit(0, 1), Some(0));
        assert_eq!((admit(1, 1), admit(59, 1)), (None, None));
        assert_eq!(admit(2, 2), Some(0));
        assert_eq!(admit(60, 1), Some(2));
        assert_eq!(admit(61, 1), None);
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_room_and_few_lines() {
        let (mut recent, start) = (Recent::default(), Instant::now());
        let told = (0..100_000).filter(|n| recent.admit(start, address(*n)).is_some()).count();
        assert_eq!((told, recent.addresses.len()), (MAX_ADDRESSES + 1, MAX_ADDRESSES));
        assert_eq!(recent.admit(start + QUIET, address(99_999)), Some(0));
        assert_eq!(recent.addresses.len(), 1);
    }
}

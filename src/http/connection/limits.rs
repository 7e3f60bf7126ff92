//! How many connections there may be, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::forwarded::{TrustedProxies, counted};

/// How many connections one listener takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once, over all worker threads.
    pub connections: usize,
    /// How many of them only this machine may have.
    pub for_loopback: usize,
    /// Connections at once from one address, or requests at once when it comes through a trusted
    /// proxy. 0: any number. This machine may have any number.
    pub per_address: usize,
}

/// Most connections that are turned away at once with a word. More are closed without one.
const MAX_LINGERING: usize = 64;

/// Why a connection, or a request, is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There are as many as there may be.
    All,
    /// There are as many from this address as there may be.
    Address,
}

impl Full {
    /// As metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "max_connections",
            Self::Address => "max_connections_per_address",
        }
    }
}

/// The open connections of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    proxies: TrustedProxies,
    open: AtomicUsize,
    /// Connections that are being turned away.
    lingering: AtomicUsize,
    /// Connections by the address they come from; only while there is a limit, and without this
    /// machine and trusted proxies.
    by_address: PerAddress,
    /// Requests that came through a trusted proxy, by the address it tells.
    through_proxies: PerAddress,
}

impl Connections {
    pub fn new(limits: Limits, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner {
            limits,
            proxies,
            open: AtomicUsize::new(0),
            lingering: AtomicUsize::new(0),
            by_address: PerAddress::default(),
            through_proxies: PerAddress::default(),
        }))
    }

    /// Lets one more connection in.
    ///
    /// Errors: [`Full`].
    pub fn enter(&self, peer: IpAddr) -> Result<Place, Full> {
        let inner = &*self.0;
        let from_here = peer.to_canonical().is_loopback();
        let kept = if from_here { 0 } else { inner.limits.for_loopback };
        let before = inner.open.fetch_add(1, Ordering::Relaxed);
        let mut place = Place { connections: self.clone(), address: None };
        if before >= inner.limits.connections.saturating_sub(kept) {
            return Err(Full::All);
        }
        if !from_here && !inner.proxies.trusts(peer) {
            place.address = self.count(&inner.by_address, peer)?;
        }
        Ok(place)
    }

    /// Lets one more request in of `client`, for whom the trusted proxy `peer` speaks.
    ///
    /// Errors: [`Full::Address`].
    pub fn enter_through_proxy(
        &self,
        peer: IpAddr,
        client: IpAddr,
    ) -> Result<Option<ProxiedPlace>, Full> {
        if peer.to_canonical() == client {
            return Ok(None);
        }
        let address = self.count(&self.0.through_proxies, client)?;
        Ok(address.map(|address| ProxiedPlace { connections: self.clone(), address }))
    }

    /// Lets a connection that was turned away stay until it has heard so. `None` when too many are.
    pub fn linger(&self) -> Option<Lingering> {
        let place = Lingering(self.clone());
        let before = self.0.lingering.fetch_add(1, Ordering::Relaxed);
        (before < MAX_LINGERING).then_some(place)
    }

    pub fn proxies(&self) -> &TrustedProxies {
        &self.0.proxies
    }

    /// Whether addresses are counted at all.
    pub fn limits_addresses(&self) -> bool {
        self.0.limits.per_address > 0
    }

    fn count(&self, places: &PerAddress, address: IpAddr) -> Result<Option<IpAddr>, Full> {
        let most = self.0.limits.per_address;
        if most == 0 || address.to_canonical().is_loopback() {
            return Ok(None);
        }
        let address = counted(address);
        if places.enter(address, most) { Ok(Some(address)) } else { Err(Full::Address) }
    }
}

/// One connection. Dropping it makes room for another.
#[derive(Debug)]
pub struct Place {
    connections: Connections,
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let inner = &*self.connections.0;
        inner.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            inner.by_address.leave(address);
        }
    }
}

/// One connection that is being turned away. Dropping it makes room for another.
#[derive(Debug)]
pub struct Lingering(Connections);

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.0.lingering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request that came through a proxy. Dropping it makes room for another of that address.
#[derive(Debug)]
pub struct ProxiedPlace {
    connections: Connections,
    address: IpAddr,
}

impl Drop for ProxiedPlace {
    fn drop(&mut self) {
        self.connections.0.through_proxies.leave(self.address);
    }
}

/// How many there are of each address. As many entries as there are connections or requests, at most.
#[derive(Debug, Default)]
struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

impl PerAddress {
    fn enter(&self, address: IpAddr, most: usize) -> bool {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(address).or_default();
        if *taken >= most {
            return false;
        }
        *taken += 1;
        true
    }

    fn leave(&self, address: IpAddr) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&address) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(per_address: usize) -> Connections {
        let limits = Limits { connections: 4, for_loopback: 1, per_address };
        Connections::new(limits, TrustedProxies::new(&["10.0.0.1/32".parse().unwrap()]))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_part_is_kept_for_this_machine() {
        let connections = connections(0);
        let enter = |from: &str| connections.enter(ip(from));
        let mut places: Vec<_> = (0..3).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert_eq!(enter("192.0.2.2").unwrap_err(), Full::All);
        places.push(enter("127.0.0.1").unwrap());
        assert_eq!(enter("127.0.0.1").unwrap_err(), Full::All);
        drop(places);
        enter("192.0.2.2").unwrap();
    }

    #[test]
    fn one_address_has_so_many_and_this_machine_and_proxies_more() {
        let connections = connections(1);
        let _first = connections.enter(ip("192.0.2.1")).unwrap();
        assert_eq!(connections.enter(ip("::ffff:192.0.2.1")).unwrap_err(), Full::Address);
        for from in ["192.0.2.2", "127.0.0.1", "10.0.0.1", "::1"] {
            connections.enter(ip(from)).unwrap();
            connections.enter(ip(from)).unwrap();
        }
        let _proxied = [ip("10.0.0.1"), ip("10.0.0.1")].map(|it| connections.enter(it).unwrap());
    }

    #[test]
    fn who_was_refused_takes_no_room() {
        let connections = connections(1);
        let first = connections.enter(ip("192.0.2.1")).unwrap();
        for _ in 0..10 {
            assert_eq!(connections.enter(ip("192.0.2.1")).unwrap_err(), Full::Address);
        }
        drop(first);
        assert!(connections.0.by_address.0.lock().unwrap().is_empty());
        connections.enter(ip("192.0.2.1")).unwrap();
        assert_eq!(connections.0.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn behind_a_proxy_requests_are_counted() {
        let connections = connections(1);
        let enter = |client| connections.enter_through_proxy(ip("10.0.0.1"), ip(client));
        let first = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err(), Full::Address);
        assert!(enter("192.0.2.2").unwrap().is_some());
        assert!(enter("10.0.0.1").unwrap().is_none(), "the proxy speaks for itself");
        drop(first);
        enter("192.0.2.1").unwrap();
    }
}

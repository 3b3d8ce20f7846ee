//! What belongs to one client, as far as its address tells.

use std::net::{IpAddr, Ipv6Addr};

/// One client's share of the address space: an IPv4 address, or the IPv6 network of 64 bits that an
/// address is in.
///
/// It is what to count by where each client gets only so much. Who is given a network can take any of
/// its addresses, so those of one network are one. An IPv4 address that is written as an IPv6 one is the
/// IPv4 address.
///
/// ```
/// use registry_core::access::ClientNetwork;
///
/// let network = |text: &str| ClientNetwork::of(text.parse().unwrap());
/// assert_eq!(network("2001:db8::1"), network("2001:db8::2:1"));
/// assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
/// assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
/// assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// The network that `address` is in.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Ipv6Addr::from(network).into()
            }
        })
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.0
    }
}

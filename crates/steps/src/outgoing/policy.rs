//! Whom webhooks may be sent to. Whoever may make a webhook could otherwise reach what only the server can: services on its
//! own machine and network, and the metadata of clouds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin alike, such as `10.20.0.0/16` or `192.168.1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many leading bits count.
    bits: u8,
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotANetwork(String);

impl std::error::Error for NotANetwork {}

impl fmt::Display for NotANetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a network, such as 10.20.0.0/16 or 192.168.1.5", self.0)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let wrong = || NotANetwork(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, second: u16, bits: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), bits }
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let rest = 32 - u32::from(self.bits);
                u32::from(network).checked_shr(rest).unwrap_or(0) == u32::from(address).checked_shr(rest).unwrap_or(0)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let rest = 128 - u32::from(self.bits);
                u128::from(network).checked_shr(rest).unwrap_or(0) == u128::from(address).checked_shr(rest).unwrap_or(0)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// What is not on the internet, by the registries of special addresses (RFC 6890 and those after it).
const SPECIAL: [Network; 21] = [
    Network::v4(0, 0, 0, 0, 8),
    Network::v4(10, 0, 0, 0, 8),
    Network::v4(100, 64, 0, 0, 10),
    Network::v4(127, 0, 0, 0, 8),
    Network::v4(169, 254, 0, 0, 16),
    Network::v4(172, 16, 0, 0, 12),
    Network::v4(192, 0, 0, 0, 24),
    Network::v4(192, 0, 2, 0, 24),
    Network::v4(192, 88, 99, 0, 24),
    Network::v4(192, 168, 0, 0, 16),
    Network::v4(198, 18, 0, 0, 15),
    Network::v4(198, 51, 100, 0, 24),
    Network::v4(203, 0, 113, 0, 24),
    Network::v4(224, 0, 0, 0, 4),
    Network::v4(240, 0, 0, 0, 4),
    // Only 2000::/3 is handed out to the internet. Before it are loopback and what stands for IPv4 addresses, of which no
    // more than `unwrapped` knows can be judged: a network's own NAT64 (64:ff9b:1::/48) puts them in different places.
    Network::v6(0, 0, 3),
    Network::v6(0x4000, 0, 2),
    Network::v6(0x8000, 0, 1),
    Network::v6(0x2001, 0, 23),
    Network::v6(0x2001, 0xdb8, 32),
    Network::v6(0x3fff, 0, 20),
];

/// Whom webhooks may be sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Whether addresses that are not on the internet are allowed, all of them.
    pub allow_private: bool,
    /// Those that are allowed all the same.
    pub allowed: Vec<Network>,
}

impl TargetPolicy {
    /// Whether something may be sent to this address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = unwrapped(address);
        self.allow_private
            || self.allowed.iter().any(|network| network.holds(address))
            || !SPECIAL.iter().any(|network| network.holds(address))
    }
}

/// The IPv4 address that an IPv6 address stands for, where it is known to: mapped, by the NAT64 of all networks or by 6to4.
fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_internet_is_allowed() {
        let policy = TargetPolicy::default();
        for open in [
            "8.8.8.8",
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "2a00:1450:4001::200e",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2002:808:808::1",
            "3ffe::1",
        ] {
            assert!(policy.allows(address(open)), "{open}");
        }
        for shut in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            // 10.0.0.1 and 8.8.8.8 as a network with a prefix of 48 or 96 bits writes them.
            "64:ff9b:1:a00:0:100::",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:808:8:800::",
            "64:ff9b:1::808:808",
            "::ffff:0:127.0.0.1",
            "::ffff:0:8.8.8.8",
            "::8.8.8.8",
            "100::1",
            "1fff::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "8000::1",
            "e000::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!policy.allows(address(shut)), "{shut}");
        }
    }

    #[test]
    fn what_is_allowed_by_name_is_allowed() {
        let allowed = ["10.20.0.0/16", "127.0.0.1", "fd00::/8", "64:ff9b:1::/48"].map(|text| text.parse().unwrap());
        let policy = TargetPolicy { allow_private: false, allowed: allowed.to_vec() };
        for open in ["10.20.1.1", "::ffff:10.20.1.1", "127.0.0.1", "fd00::5", "64:ff9b:1::a00:1"] {
            assert!(policy.allows(address(open)), "{open}");
        }
        for shut in ["10.21.0.1", "127.0.0.2", "fc00::1"] {
            assert!(!policy.allows(address(shut)), "{shut}");
        }
        let all = TargetPolicy { allow_private: true, allowed: Vec::new() };
        assert!(all.allows(address("169.254.169.254")));
        let everything: Network = "0.0.0.0/0".parse().unwrap();
        assert!(everything.holds(address("10.0.0.1")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "fd00::/129", "10.0.0.0/x", "10.0.0"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}

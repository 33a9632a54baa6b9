//! Networks in CIDR notation, and which of several is the closest around an address.

use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network. Its address has no bits set beyond the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cidr {
    network: u32,
    prefix: u8,
}

impl Cidr {
    /// Bits of the network part, 0 to 32.
    pub fn prefix(self) -> u8 {
        self.prefix
    }
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.network
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network such as 10.1.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().ok().filter(|bits| *bits <= 32).ok_or_else(wrong)?;
        let network = u32::from(address);
        if network & mask(prefix) != network {
            return Err(format!("`{text}` has address bits set beyond its prefix"));
        }
        Ok(Self { network, prefix })
    }
}

/// The entry whose network is the smallest around `address`. Entries that are not networks never match.
pub fn closest<'a, V>(entries: impl IntoIterator<Item = (&'a String, &'a V)>, address: Ipv4Addr) -> Option<&'a V> {
    let parsed = entries.into_iter().filter_map(|(text, value)| Some((text.parse::<Cidr>().ok()?, value)));
    parsed.filter(|(cidr, _)| cidr.contains(address)).max_by_key(|(cidr, _)| cidr.prefix).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn networks_are_read_strictly() {
        for good in ["0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "127.0.0.0/8"] {
            assert!(good.parse::<Cidr>().is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.1/8", "::/0", "10.0.0.0/-1", "*"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let entries: BTreeMap<String, u32> =
            [("0.0.0.0/0", 1), ("10.0.0.0/8", 2), ("10.1.0.0/16", 3), ("10.1.2.3/32", 4), ("nonsense", 5)]
                .map(|(text, value)| (text.to_owned(), value))
                .into();
        let at = |address: &str| closest(&entries, address.parse().unwrap()).copied();
        assert_eq!(
            [at("9.9.9.9"), at("10.9.9.9"), at("10.1.2.4"), at("10.1.2.3")],
            [Some(1), Some(2), Some(3), Some(4)]
        );
        let only: BTreeMap<String, u32> = [("10.0.0.0/8".to_owned(), 2)].into();
        assert_eq!(closest(&only, Ipv4Addr::new(11, 0, 0, 1)), None);
    }
}

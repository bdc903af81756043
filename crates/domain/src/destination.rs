//! Where the service may send things that somebody else chose the address of: a rule of security, because what it reaches
//! its callers may not.
//!
//! Only what is known to be an ordinary address of the internet counts as public; whatever is not, or may stand for
//! another one, does not. An address of IPv6 that carries one of IPv4 is judged by what it carries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to those who may send things there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Somewhere on the internet.
    Public,
    /// In a network of somebody's own, or in none: for whom the operator allowed it.
    Internal,
    /// Nobody sends anything there: a cloud's own services for its machines, a link, many machines at once, none.
    Never,
}

/// What an address is, in whichever spelling it comes.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

/// Networks of IPv4 by address and number of bits, and what they are.
const V4: &[(u32, u32, Reach)] = &[
    (v4(0, 0, 0, 0), 8, Reach::Never),
    (v4(10, 0, 0, 0), 8, Reach::Internal),
    // What Alibaba Cloud tells its machines.
    (v4(100, 100, 100, 200), 32, Reach::Never),
    (v4(100, 64, 0, 0), 10, Reach::Internal),
    (v4(127, 0, 0, 0), 8, Reach::Internal),
    // What Azure tells its machines, at a public address.
    (v4(168, 63, 129, 16), 32, Reach::Never),
    (v4(169, 254, 0, 0), 16, Reach::Never),
    (v4(172, 16, 0, 0), 12, Reach::Internal),
    // What Oracle's cloud tells its machines.
    (v4(192, 0, 0, 192), 32, Reach::Never),
    (v4(192, 0, 0, 0), 24, Reach::Internal),
    (v4(192, 0, 2, 0), 24, Reach::Internal),
    (v4(192, 88, 99, 0), 24, Reach::Internal),
    (v4(192, 168, 0, 0), 16, Reach::Internal),
    (v4(198, 18, 0, 0), 15, Reach::Internal),
    (v4(198, 51, 100, 0), 24, Reach::Internal),
    (v4(203, 0, 113, 0), 24, Reach::Internal),
    (v4(224, 0, 0, 0), 4, Reach::Never),
    (v4(240, 0, 0, 0), 4, Reach::Never),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> u32 {
    u32::from_be_bytes([a, b, c, d])
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let differs = |network: u32| (address.to_bits() ^ network).leading_zeros();
    let known = V4.iter().find(|(network, bits, _)| differs(*network) >= *bits);
    known.map_or(Reach::Public, |(_, _, reach)| *reach)
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let [a, b, c, d, _, _, g, h] = address.segments();
    let last = embedded(g, h);
    let whole = address.to_bits();
    match address.segments() {
        _ if whole == 0 => Reach::Never,
        _ if whole == 1 => Reach::Internal,
        // IPv4-mapped, IPv4-compatible and the well-known prefix of NAT64 are the address that they carry.
        [0, 0, 0, 0, 0, 0xFFFF | 0, _, _] | [0x64, 0xFF9B, 0, 0, 0, 0, _, _] => reach_v4(last),
        // The other NAT64, tunnels and their relays lead to what they carry by ways that nobody can follow.
        [0x64, 0xFF9B, 1, ..] => at_most_internal(reach_v4(last)),
        [0x2002, ..] => at_most_internal(reach_v4(embedded(b, c))),
        [0x2001, 0, ..] => match (reach_v4(embedded(!g, !h)), reach_v4(embedded(c, d))) {
            (Reach::Never, _) | (_, Reach::Never) => Reach::Never,
            _ => Reach::Internal,
        },
        [_, _, _, _, 0 | 0x200, 0x5EFE, _, _] => at_most_internal(reach_v4(last)),
        // What AWS (at several addresses of one network) and Google's cloud tell their machines.
        [0xFD00, 0x0EC2, ..] | [0xFD20, 0x00CE, 0, 0, 0, 0, 0, 0x254] => Reach::Never,
        _ if a & 0xFFC0 == 0xFE80 || a & 0xFF00 == 0xFF00 => Reach::Never,
        // Of what was given out to the internet: what the IETF keeps for itself, examples, and black holes.
        [0x2001, 0..=0x01FF | 0x0DB8, ..] | [0x2620, 0x4F, 0x8000, ..] | [0x3FFF, 0..=0x0FFF, ..] => {
            Reach::Internal
        }
        _ if a & 0xE000 == 0x2000 => Reach::Public,
        _ => Reach::Internal,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

fn at_most_internal(carried: Reach) -> Reach {
    match carried {
        Reach::Public => Reach::Internal,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of each kind, in many spellings.
    const PUBLIC: &[&str] = &[
        "8.8.8.8",
        "1.1.1.1",
        "168.63.129.15",
        "172.32.0.1",
        "172.15.255.255",
        "100.128.0.1",
        "100.63.255.255",
        "192.0.1.1",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001:82a::200e",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::8.8.8.8",
    ];
    const INTERNAL: &[&str] = &[
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0:0:0:0:0:ffff:10.0.0.1",
        "::127.0.0.1",
        "::a00:1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:abcd::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2001:0:808:808:0:ffff:f7f7:f7f7",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:10::1",
        "2001:2::1",
        "2001:20::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456:789a::1",
        "fec0::1",
        "2a00:1450::5efe:a00:1",
        "2a00:1450::200:5efe:8.8.8.8",
        "100::1",
        "4000::1",
        "5f00::1",
    ];
    const NEVER: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "::ffff:168.63.129.16",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2002:a83f:8110::",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:ffff:5601:5601",
        "2a00:1450::5efe:a9fe:a9fe",
        "fe80::1",
        "febf::1",
        "fd00:ec2::23",
        "fd00:ec2::254",
        "fd20:ce::254",
        "ff02::1",
        "ff05::1:3",
    ];

    #[test]
    fn every_spelling_is_judged_by_what_it_stands_for() {
        for (addresses, expected) in [
            (PUBLIC, Reach::Public),
            (INTERNAL, Reach::Internal),
            (NEVER, Reach::Never),
        ] {
            for address in addresses {
                assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}

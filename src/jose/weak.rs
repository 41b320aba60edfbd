//! RSA keys that no verifier should trust, whoever published them.

/// Why the modulus and exponent (big-endian, without leading zeros) must not be used, or `None`.
pub(super) fn rsa(n: &[u8], e: &[u8]) -> Option<&'static str> {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Some("an RSA modulus must have 2048 to 8192 bits");
    }
    // With e = 1 a signature is its own message; an even e has no inverse. RFC 8725 §3.4 leaves the bounds
    // to us: 33 bits are the library's limit, and no honest key comes near them.
    if e.len() > 5 || e.last().is_none_or(|last| last % 2 == 0) || (e.len() == 1 && e.first() == Some(&1)) {
        return Some("an RSA exponent must be odd and at least 3");
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Some("an RSA modulus must be odd");
    }
    if is_roca(n) {
        return Some("the RSA key has the ROCA weakness (CVE-2017-15361)");
    }
    None
}

/// Whether the modulus has the fingerprint of CVE-2017-15361: primes that were made as powers of 65537
/// modulo a product of small primes, so that the modulus, too, is a power of 65537 modulo each of them.
/// An honest modulus shows this with a chance below 2^-100.
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
        103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|&p| {
        let residue = n.iter().fold(0u32, |sum, &byte| (sum * 256 + u32::from(byte)) % p);
        let mut power = 1;
        (0..p).any(|_| {
            power = power * (65537 % p) % p;
            power == residue
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn odd(bits: usize) -> Vec<u8> {
        let mut n = vec![0x5b; bits / 8];
        n[0] |= 0x80;
        n
    }

    #[test]
    fn oidc_031_size_and_exponent_have_bounds() {
        assert_eq!(rsa(&odd(2048), &[1, 0, 1]), None);
        assert_eq!(rsa(&odd(8192), &[3]), None);
        assert!(rsa(&odd(512), &[1, 0, 1]).is_some());
        assert!(rsa(&odd(2040), &[1, 0, 1]).is_some());
        assert!(rsa(&odd(8200), &[1, 0, 1]).is_some());
        assert!(rsa(&[], &[1, 0, 1]).is_some());
        for e in [&[][..], &[1], &[2], &[1, 0, 0], &[1; 6]] {
            assert!(rsa(&odd(2048), e).is_some(), "{e:?}");
        }
        let mut even = odd(2048);
        *even.last_mut().unwrap() = 0x5a;
        assert!(rsa(&even, &[3]).is_some());
    }

    #[test]
    fn a_power_of_65537_modulo_the_small_primes_is_found() {
        // 65537^2 has the fingerprint by construction; its neighbours do not.
        assert!(is_roca(&(65537u64 * 65537).to_be_bytes()));
        assert!(!is_roca(&(65537u64 * 65537 + 2).to_be_bytes()));
        assert!(!is_roca(&odd(2048)));
        // 65537^123456789 modulo the product of the primes, and twice that product: no power as a number
        let made = [
            0x0a, 0xbf, 0xa6, 0x98, 0xfa, 0x57, 0x97, 0xaa, 0x95, 0xd5, 0x3f, 0x8a, 0x49, 0x1c, 0x5e, 0x58,
            0x54, 0x72, 0x10, 0xdc, 0xfd, 0x60, 0xab, 0xba, 0x72, 0x7b, 0x8e, 0x3c,
        ];
        assert!(is_roca(&made));
    }

    /// 65537 to a power, by shifting and adding.
    fn power_of_65537(exponent: usize) -> Vec<u8> {
        let mut little = vec![1u8];
        for _ in 0..exponent {
            let mut next = vec![0; little.len() + 3];
            let mut carry = 0;
            for (i, digit) in next.iter_mut().enumerate() {
                let shifted = i.checked_sub(2).and_then(|i| little.get(i)).copied().unwrap_or(0);
                let sum = u16::from(shifted) + u16::from(little.get(i).copied().unwrap_or(0)) + carry;
                (*digit, carry) = (sum.to_le_bytes()[0], sum >> 8);
            }
            while next.last() == Some(&0) {
                next.pop();
            }
            little = next;
        }
        little.reverse();
        little
    }

    #[test]
    fn each_weakness_of_a_key_is_named() {
        let e = [1, 0, 1];
        let size = Some("an RSA modulus must have 2048 to 8192 bits");
        let mut short = odd(2048);
        short[0] = 0x7f;
        assert_eq!(rsa(&short, &e), size, "2047 bits");
        let mut long = odd(8200);
        long[0] = 1;
        assert_eq!(rsa(&long, &e), size, "8193 bits");
        let exponent = Some("an RSA exponent must be odd and at least 3");
        assert_eq!(rsa(&odd(2048), &[1]), exponent);
        assert_eq!(rsa(&odd(2048), &[1; 5]), None);
        assert_eq!(rsa(&odd(2048), &[1; 6]), exponent);
        let roca = power_of_65537(128);
        assert_eq!(roca.len(), 257);
        assert_eq!(rsa(&roca, &e), Some("the RSA key has the ROCA weakness (CVE-2017-15361)"));
    }
}

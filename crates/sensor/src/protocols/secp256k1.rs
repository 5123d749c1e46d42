//! Whether a point lies on the curve secp256k1: SEC 2, section 2.4.1. A public key does; chance
//! does not.

/// A number below the prime `2^256 - RESIDUE`: its high and its low half.
type Element = (u128, u128);

const RESIDUE: u128 = 0x1_0000_03d1;
const PRIME_LOW: u128 = 0_u128.wrapping_sub(RESIDUE);

/// Whether `y² = x³ + 7`, the coordinates being big-endian.
pub(super) fn is_on_curve(x: &[u8; 32], y: &[u8; 32]) -> bool {
    let (Some(x), Some(y)) = (element(x), element(y)) else { return false };
    multiply(y, y) == add(multiply(multiply(x, x), x), (0, 7))
}

fn element(bytes: &[u8; 32]) -> Option<Element> {
    let (high, low) = bytes.split_first_chunk::<16>()?;
    let low = u128::from_be_bytes(*low.first_chunk::<16>()?);
    let high = u128::from_be_bytes(*high);
    (high < u128::MAX || low < PRIME_LOW).then_some((high, low))
}

fn add((a_high, a_low): Element, (b_high, b_low): Element) -> Element {
    let (low, carry) = a_low.overflowing_add(b_low);
    let (high, over) = a_high.overflowing_add(b_high);
    let (high, over_again) = high.overflowing_add(u128::from(carry));
    if over || over_again || (high == u128::MAX && low >= PRIME_LOW) {
        let (low, carry) = low.overflowing_add(RESIDUE);
        return (high.wrapping_add(u128::from(carry)), low);
    }
    (high, low)
}

/// By doubling and adding: it is done once for a key that already looks like one.
fn multiply(a: Element, (high, low): Element) -> Element {
    [high, low].into_iter().fold((0, 0), |product, half| {
        (0..u128::BITS).rev().fold(product, |product, bit| {
            let doubled = add(product, product);
            if half >> bit & 1 == 1 { add(doubled, a) } else { doubled }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The curve's base point.
    const X: [u8; 32] = *b"\x79\xbe\x66\x7e\xf9\xdc\xbb\xac\x55\xa0\x62\x95\xce\x87\x0b\x07\
                          \x02\x9b\xfc\xdb\x2d\xce\x28\xd9\x59\xf2\x81\x5b\x16\xf8\x17\x98";
    const Y: [u8; 32] = *b"\x48\x3a\xda\x77\x26\xa3\xc4\x65\x5d\xa4\xfb\xfc\x0e\x11\x08\xa8\
                          \xfd\x17\xb4\x48\xa6\x85\x54\x19\x9c\x47\xd0\x8f\xfb\x10\xd4\xb8";

    #[test]
    fn the_base_point_is_on_the_curve_and_its_neighbour_is_not() {
        assert!(is_on_curve(&X, &Y));
        let mut other = Y;
        other[31] ^= 1;
        assert!(!is_on_curve(&X, &other));
        assert!(!is_on_curve(&[0xff; 32], &Y));
    }
}

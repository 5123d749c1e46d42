//! Whether a point lies on the curve secp256k1: SEC 2, section 2.4.1. A public key does; chance
//! does not.

/// A number below the prime `2^256 - RESIDUE`, its lowest digit first.
type Element = [u64; 4];

const RESIDUE: u128 = 0x1_0000_03d1;
const PRIME_LOW: u64 = 0_u64.wrapping_sub(RESIDUE as u64);

/// Whether `y² = x³ + 7`, the coordinates being big-endian.
pub(super) fn is_on_curve(x: &[u8; 32], y: &[u8; 32]) -> bool {
    let (Some(x), Some(y)) = (element(x), element(y)) else { return false };
    let square = multiply_add(x, x, [0; 4]);
    multiply_add(y, y, [0; 4]) == multiply_add(square, x, [7, 0, 0, 0])
}

fn element(bytes: &[u8; 32]) -> Option<Element> {
    let mut element = [0; 4];
    for (digit, bytes) in element.iter_mut().rev().zip(bytes.as_chunks().0) {
        *digit = u64::from_be_bytes(*bytes);
    }
    (reduce(element) == element).then_some(element)
}

/// `a * b + c`, digit by digit.
fn multiply_add(a: Element, b: Element, c: Element) -> Element {
    let [c0, c1, c2, c3] = c;
    let mut wide = [c0, c1, c2, c3, 0, 0, 0, 0];
    for (shift, digit) in b.into_iter().enumerate() {
        let mut carry = 0;
        for (place, factor) in wide.iter_mut().skip(shift).zip(a.into_iter().chain([0])) {
            let sum = u128::from(factor) * u128::from(digit) + u128::from(*place) + carry;
            (*place, carry) = (sum as u64, sum >> 64);
        }
    }
    let [low @ .., h0, h1, h2, h3] = wide;
    fold(low, [h0, h1, h2, h3])
}

/// What lies above `2^256` counts `RESIDUE` times below it.
fn fold(mut low: Element, mut high: [u64; 4]) -> Element {
    while high != [0; 4] {
        let mut carry = 0;
        for (place, digit) in low.iter_mut().zip(high) {
            let sum = u128::from(digit) * RESIDUE + u128::from(*place) + carry;
            (*place, carry) = (sum as u64, sum >> 64);
        }
        high = [carry as u64, 0, 0, 0];
    }
    reduce(low)
}

/// What is not below the prime is above it by less than `RESIDUE`.
const fn reduce(element: Element) -> Element {
    match element {
        [low @ PRIME_LOW..=u64::MAX, u64::MAX, u64::MAX, u64::MAX] => [low - PRIME_LOW, 0, 0, 0],
        below => below,
    }
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

    #[test]
    fn products_wrap_at_the_prime() {
        let top = [PRIME_LOW - 1, u64::MAX, u64::MAX, u64::MAX];
        assert_eq!(multiply_add(top, top, [0; 4]), [1, 0, 0, 0], "(-1)² = 1");
        assert_eq!(multiply_add(top, [1, 0, 0, 0], [1, 0, 0, 0]), [0; 4], "-1 + 1 = 0");
        assert_eq!(multiply_add(top, [2, 0, 0, 0], [3, 0, 0, 0]), [1, 0, 0, 0], "-2 + 3 = 1");
    }
}

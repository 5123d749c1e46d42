//! AES-128, encryption of one block: FIPS 197. QUIC encrypts its first packets with keys that
//! everybody can derive, so this hides nothing and need not run in constant time.

/// The round keys of one key.
pub(super) struct Aes128([[u8; BLOCK_BYTES]; ROUND_COUNT + 1]);

impl Aes128 {
    /// Expands a key.
    pub(super) fn new(key: [u8; BLOCK_BYTES]) -> Self {
        let mut keys = [key; ROUND_COUNT + 1];
        let mut round_constant = 1;
        let mut last = key;
        for round_key in keys.iter_mut().skip(1) {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = last;
            let mut word = [s(n) ^ round_constant, s(o), s(p), s(m)];
            let mut next = [0; BLOCK_BYTES];
            let words = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
            for (place, old) in next.chunks_exact_mut(4).zip(words) {
                for (byte, other) in word.iter_mut().zip(old) {
                    *byte ^= other;
                }
                place.copy_from_slice(&word);
            }
            round_constant = double(round_constant);
            last = next;
            *round_key = next;
        }
        Self(keys)
    }

    /// Encrypts one block.
    pub(super) fn encrypt(&self, mut block: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
        for (round, key) in self.0.iter().enumerate() {
            if round > 0 {
                block = shift_rows(block.map(s));
            }
            if (1..ROUND_COUNT).contains(&round) {
                let (columns, _) = block.as_chunks_mut::<4>();
                columns.iter_mut().for_each(mix);
            }
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
        }
        block
    }
}

const fn shift_rows(block: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = block;
    [a, f, k, p, e, j, o, d, i, n, c, h, m, b, g, l]
}

fn mix(column: &mut [u8; 4]) {
    let [a, b, c, d] = *column;
    let all = a ^ b ^ c ^ d;
    *column = [
        a ^ all ^ double(a ^ b),
        b ^ all ^ double(b ^ c),
        c ^ all ^ double(c ^ d),
        d ^ all ^ double(d ^ a),
    ];
}

/// Doubles in the field of AES.
const fn double(byte: u8) -> u8 {
    byte << 1 ^ if byte & 0x80 == 0 { 0 } else { 0x1b }
}

fn s(byte: u8) -> u8 {
    SUBSTITUTES.get(usize::from(byte)).copied().unwrap_or_default()
}

/// The inverse of every byte in the field, then an affine map.
#[allow(clippy::indexing_slicing, reason = "a byte indexes a table of 256 while compiling")]
static SUBSTITUTES: [u8; 256] = {
    let mut table = [0x63; 256];
    let (mut power, mut inverse) = (1_u8, 1_u8);
    loop {
        // Three generates the field: one walks up its powers, the other down.
        power ^= double(power);
        inverse ^= inverse << 1;
        inverse ^= inverse << 2;
        inverse ^= inverse << 4;
        if inverse & 0x80 != 0 {
            inverse ^= 9;
        }
        let turned = inverse.rotate_left(1) ^ inverse.rotate_left(2);
        table[power as usize] =
            inverse ^ turned ^ inverse.rotate_left(3) ^ inverse.rotate_left(4) ^ 0x63;
        if power == 1 {
            break table;
        }
    }
};

pub(super) const BLOCK_BYTES: usize = 16;
const ROUND_COUNT: usize = 10;

#[cfg(test)]
mod tests {
    use super::Aes128;

    /// FIPS 197, appendix C.1.
    #[test]
    fn the_standard_example_is_encrypted_as_the_standard_says() {
        let key = core::array::from_fn(|index| u8::try_from(index).unwrap());
        let plain = core::array::from_fn(|index| u8::try_from(index * 0x11).unwrap());
        let cipher = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes();
        assert_eq!(Aes128::new(key).encrypt(plain), cipher);
    }
}

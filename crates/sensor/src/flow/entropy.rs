//! Shannon entropy in whole numbers, so that every platform gives the same hundredth of a bit.

/// The largest count: one more than the bytes that are sampled.
const COUNT_END: usize = 4097;
/// Fractional bits of the logarithms below.
const FRACTION: u32 = 16;

/// `n * log2(n)` in 1/65,536, by squaring: each squaring of the mantissa gives one more bit.
#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
static N_LOG_N: [u32; COUNT_END] = {
    let mut table = [0; COUNT_END];
    let mut n = 2;
    while n < COUNT_END {
        table[n] = (n as u64 * log2(n as u64)) as u32;
        n += 1;
    }
    table
};

/// `log2(n)` in 1/65,536, for `n` of at least 1.
const fn log2(n: u64) -> u64 {
    let whole = 63 - n.leading_zeros();
    // The mantissa in [1, 2), with 31 fractional bits.
    let mut mantissa = (n << 31) >> whole;
    let mut log = whole as u64;
    let mut bit = 0;
    while bit < FRACTION {
        mantissa = (mantissa * mantissa) >> 31;
        log <<= 1;
        if mantissa >= 2 << 31 {
            mantissa >>= 1;
            log |= 1;
        }
        bit += 1;
    }
    log
}

/// The entropy of `total` bytes with this histogram, in hundredths of a bit a byte.
pub(super) fn of_many(histogram: &[u16; 256], total: u16) -> u16 {
    centibits(histogram.iter().map(|&count| n_log_n(count)).sum(), total)
}

/// The entropy of these bytes: each adds what it makes of its bin.
pub(super) fn of_few(bytes: &[u8]) -> u16 {
    let mut histogram = [0u16; 256];
    let mut sum = 0;
    let bytes = bytes.get(..COUNT_END - 1).unwrap_or(bytes);
    for &byte in bytes {
        if let Some(count) = histogram.get_mut(usize::from(byte)) {
            sum += n_log_n(*count + 1) - n_log_n(*count);
            *count += 1;
        }
    }
    centibits(sum, bytes.len() as u16)
}

fn n_log_n(count: u16) -> u64 {
    N_LOG_N.get(usize::from(count)).copied().map_or(0, u64::from)
}

/// The sum is that of `n * log2(n)` over all bins.
fn centibits(sum: u64, total: u16) -> u16 {
    if total == 0 {
        return 0;
    }
    let total = u64::from(total);
    let log_total = log2(total);
    let per_byte = (total * log_total).saturating_sub(sum) / total;
    ((per_byte * 100) >> FRACTION) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn of(bytes: &[u8]) -> u16 {
        let mut histogram = [0; 256];
        bytes.iter().for_each(|&byte| histogram[usize::from(byte)] += 1);
        let entropy = of_many(&histogram, u16::try_from(bytes.len()).unwrap());
        assert_eq!(of_few(bytes), entropy);
        entropy
    }

    #[test]
    fn known_entropies() {
        assert_eq!(of(b""), 0);
        assert_eq!(of(b"aaaaaaa"), 0);
        assert_eq!(of(b"abababab"), 100);
        assert_eq!(of(b"abcdabcd"), 200);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(of(&all.repeat(16)), 800);
    }

    #[test]
    fn agrees_with_floating_point() {
        let text = b"the quick brown fox jumps over the lazy dog, and then again: id; uname -a";
        let mut expected = 0.0;
        for byte in 0..=255u8 {
            let count = text.iter().filter(|&&other| other == byte).count() as f64;
            if count > 0.0 {
                let share = count / text.len() as f64;
                expected -= share * libm::log2(share);
            }
        }
        assert!((f64::from(of(text)) - expected * 100.0).abs() < 2.0, "{} {expected}", of(text));
    }
}

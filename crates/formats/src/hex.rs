//! Ids and digests, written as hexadecimal digits.

use observation::{ContainerId, ImageId};

/// A full container id. Shorter ones name no container for certain.
pub(crate) fn container_id(text: &str) -> Option<ContainerId> {
    bytes32(text).map(ContainerId)
}

/// An image's digest, with Docker's `sha256:` before it or, as Podman writes it, without.
pub(crate) fn image_id(text: &str) -> Option<ImageId> {
    bytes32(text.strip_prefix("sha256:").unwrap_or(text)).map(ImageId)
}

/// 32 bytes as 64 digits.
pub(crate) fn bytes32(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = *pair.first_chunk::<2>()?;
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_id_is_an_id() {
        let id = "0123456789abcdefABCDEF0000000000000000000000000000000000000000ff";
        let parsed = container_id(id).unwrap();
        assert_eq!(parsed.0[..4], [0x01, 0x23, 0x45, 0x67]);
        assert_eq!(parsed.0[31], 0xff);
        assert_eq!(container_id(&id[..12]), None);
        assert_eq!(container_id(&id.replace('f', "g")), None);
        assert_eq!(container_id(&format!("{id}0")), None);
        assert_eq!(container_id(&"é".repeat(32)), None);
    }

    #[test]
    fn docker_and_podman_write_digests_differently() {
        let digits = "d4".repeat(32);
        assert_eq!(image_id(&digits), Some(ImageId([0xd4; 32])));
        assert_eq!(image_id(&format!("sha256:{digits}")), Some(ImageId([0xd4; 32])));
        assert_eq!(image_id(&format!("sha512:{digits}")), None);
    }
}

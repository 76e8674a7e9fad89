//! Whether a JPEG has its end (ITU-T T.81, annex B).

/// Whether the marker EOI comes after all segments and scans. What follows it does not matter: cameras put further
/// pictures there. Pillow draws the same line.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 0;
    // The bytes of a scan are passed over like anything that is no marker.
    while let Some(ahead) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
        at += ahead + 1;
        let Some(&marker) = bytes.get(at) else { return false };
        match marker {
            END => return true,
            // Any number of fill bytes may precede a marker.
            0xff => {}
            // A data byte of 0xff, TEM, the restarts and SOI stand alone.
            0x00 | 0x01 | 0xd0..=0xd8 => at += 1,
            // A segment is passed over as a whole: a preview in it has an end of its own.
            _ => match bytes.get(at + 1..at + 3) {
                Some(length) => at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2),
                None => return false,
            },
        }
    }
    false
}

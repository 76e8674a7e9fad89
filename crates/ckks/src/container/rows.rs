//! Digests of single rows of packed tensors: their form is described in [`super`].

use sha2::{Digest, Sha256};

/// The value of the metadata entry that announces them.
pub(super) const ALGORITHM: &str = "sha256";

/// Bytes of a row's digest.
pub(super) const LENGTH: usize = 32;

/// Keeps what is hashed as a row apart from what is hashed as a whole container.
const TAG: &[u8; 16] = b"ciphertune row 1";

/// The tensor that holds the digests of a packed tensor's rows.
pub(super) fn tensor_name(packed: &str) -> String {
    format!("{packed}.digests")
}

/// The digest of a row.
pub(super) fn digest(row: &[u8]) -> [u8; LENGTH] {
    tagged().chain_update(row).finalize().into()
}

fn tagged() -> Sha256 {
    Sha256::new_with_prefix(TAG)
}

/// Digests rows that pass by in pieces of any length.
pub(super) struct RowHasher {
    row_bytes: usize,
    current: Sha256,
    /// Bytes of the current row that have passed.
    filled: usize,
    digests: Vec<u8>,
}

impl RowHasher {
    pub(super) fn new(row_bytes: usize) -> Self {
        Self { row_bytes, current: tagged(), filled: 0, digests: Vec::new() }
    }

    pub(super) fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at((self.row_bytes - self.filled).min(bytes.len()));
            self.current.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == self.row_bytes {
                self.digests.extend(std::mem::replace(&mut self.current, tagged()).finalize());
                self.filled = 0;
            }
        }
    }

    /// The digests of the rows that are complete.
    pub(super) fn finish(self) -> Vec<u8> {
        self.digests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_row_is_sha_256_of_the_tag_and_the_row() {
        // printf 'ciphertune row 1abc' | sha256sum
        let expected = "caa635ed850e72fd9a2519d2f71c9827a325ef2c03d28546e87eb196b6de9e97";
        let found: String = digest(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_in_pieces_have_the_digests_of_whole_rows() {
        let rows: Vec<u8> = (0..35).collect();
        let expected: Vec<u8> = rows.chunks(5).flat_map(digest).collect();
        for piece in [1, 2, 5, 7, 35] {
            let mut hasher = RowHasher::new(5);
            rows.chunks(piece).for_each(|piece| hasher.bytes(piece));
            assert_eq!(hasher.finish(), expected, "{piece}");
        }
    }
}

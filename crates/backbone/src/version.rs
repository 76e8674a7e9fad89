//! Which decoders and which resizer make a picture's pixels: part of the key of features that are kept, so that a
//! change of either never serves features of the old ones.

/// What stands between a file and the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version<'a> {
    /// Of this crate's own part (`decode`, `resize`, `preprocess`).
    pub own: u32,
    /// The crates that decode, with their versions.
    pub decoders: &'a str,
}

impl Version<'_> {
    /// The version at hand. `own` must be raised with every change that makes other pixels of a file, or other numbers
    /// of pixels; the tests below notice both kinds of change.
    pub(crate) const CURRENT: Version<'static> = Version {
        own: 2,
        decoders: "fax 0.2.7, fdeflate 0.3.7, flate2 1.1.10, gif 0.14.2, image 0.25.10, \
                   image-webp 0.2.4, png 0.18.1, tiff 0.11.3, weezl 0.1.12, zune-core 0.5.3, zune-jpeg 0.5.15",
    };
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use sha2::{Digest, Sha256};

    use super::Version;
    use crate::resize::{antialiased, interpolated};
    use crate::{Picture, Preprocess};

    #[test]
    fn the_decoders_are_those_of_the_lock_file() {
        // A packaged crate has no lock file of the workspace beside it.
        let Ok(lock) = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")) else {
            return;
        };
        for decoder in Version::CURRENT.decoders.split(", ") {
            let (name, version) = decoder.split_once(' ').expect("a name and a version");
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
            assert!(lock.contains(&entry), "{name} is no longer {version}: write its version here");
        }
    }

    /// Whatever changes these numbers changes features: raise `own`, then write the new digest here.
    #[test]
    fn the_same_files_give_the_same_numbers_as_when_the_version_was_raised_last() {
        let noise = |x: u32, y: u32| ((x * x * 3 + y * 37 + x * y) % 251) as u8;
        let colour = image::RgbImage::from_fn(23, 17, |x, y| image::Rgb([noise(x, y), noise(y, x), noise(x + y, 5)]));
        let mut hash = Sha256::new();
        for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::Gif] {
            let mut file = Cursor::new(Vec::new());
            colour.write_to(&mut file, format).expect("memory takes any image");
            let picture = Picture::decode("x", file.get_ref()).expect("an image");
            hash.update(picture.pixels());
            hash.update(antialiased(&picture, 11, 29).pixels());
            interpolated(&picture, 11, 29).iter().for_each(|value| hash.update(value.to_le_bytes()));
            let input = Preprocess::torchvision().apply(&picture, 8, 8).expect("settings that were checked");
            input.iter().for_each(|value| hash.update(value.to_le_bytes()));
        }
        let found: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((Version::CURRENT.own, found.as_str()), (2, "ae9a22d4931802b0"));
    }
}
